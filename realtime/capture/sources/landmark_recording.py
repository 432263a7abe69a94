"""A session's landmarks as they were recorded: what the tracker said then, so no tracker is needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engines.landmarks.landmark_file import Picture, read_header, read_pictures
from realtime.capture.sources.base import EndOfSource, Image, Source
from realtime.clock import to_s
from realtime.messages import CaptureState, Recording

NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


class LandmarkSource(Source):
    """A file of `--record-landmarks`."""

    def __init__(self, path: Path, resume_after_ns: int | None) -> None:
        super().__init__()
        self._path, self._resume_after_ns = path, resume_after_ns
        self._pictures: Iterator[Picture] = iter(())
        self._last_ns: int | None = None

    def open(self) -> None:
        header = read_header(self._path)
        self.recording = Recording(header.begins_ns, header.width, header.height, header.fps, 1, 0)
        self._pictures = read_pictures(self._path)
        self.state = CaptureState.STREAMING
        self.detail = f"landmarks of {header.source}, {header.width}x{header.height}"

    def read(self, timeout_s: float) -> Image | None:  # noqa: ARG002 - it never has to wait
        for one in self._pictures:
            media_ns = one.rounded.media_ns
            if self._last_ns is not None and media_ns <= self._last_ns:
                continue
            self._last_ns = media_ns
            if self._resume_after_ns is not None and media_ns <= self._resume_after_ns:
                continue
            self.pictures += 1
            now_ns, landmarks = time.monotonic_ns(), one.rounded.landmarks
            seen = one.people, one.followed_ns, one.expression
            return Image(NO_PIXELS, one.frame_id, now_ns, media_ns, landmarks, *seen)
        self.state = CaptureState.ENDED
        begins_ns = self.recording.begins_ns if self.recording else 0
        end_s = 0.0 if self._last_ns is None else to_s(self._last_ns - begins_ns)
        self.detail = f"{self.pictures} pictures, to {end_s:.1f} s"
        raise EndOfSource

    def close(self) -> None:
        self._pictures = iter(())
