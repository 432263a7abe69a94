"""What a capture process keeps on disk where it was asked to: landmarks, and with consent the picture itself.

Both are written by a thread of their own and of lower priority, behind a queue: the live path hands a picture over and
goes on. Of a live source a picture that finds no room in the queue is left out of the video and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import msgspec
from av.video.stream import VideoStream

from engines.landmarks.landmark_file import LandmarkHeader, LandmarkWriter, Picture, Rounded
from realtime.capture.sources.base import Image, UInt8Array
from realtime.clock import NS_PER_S
from realtime.messages import Frame, Recording
from realtime.priority import lower_priority

NICE = 5
MOST_WAITING = 45  # pictures of the video; 1.5 s at 30 Hz
TICKS_PER_S = 90_000  # of the video's clock
KEYFRAME_EVERY = 30  # pictures: what a killed process may lose, and how finely a player seeks
# Whole fragments while it is written, so that a killed process leaves a file that plays; a plain file in the end.
MOVIE = {"movflags": "hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
ENCODER = {"preset": "ultrafast", "tune": "zerolatency", "crf": "24"}


class MediaFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where they are written; None: not."""

    landmarks: str | None = None
    video: str | None = None
    consent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """One picture that the analysis was sent."""

    media_ns: int
    picture: Picture | None
    pixels: UInt8Array | None


class VideoWriter:
    """H.264 in MP4 whose times are the pictures' own, counted from the first. Raises OSError: it cannot be written."""

    def __init__(self, path: Path, pixels: UInt8Array, begins_ns: int) -> None:
        path.open("xb").close()  # FFmpeg would overwrite what stands there
        self._begins_ns, self._last = begins_ns, -1
        self._container = av.open(str(path), "w", format="mp4", options=MOVIE)
        stream = self._container.add_stream("libx264", options=ENCODER)
        if not isinstance(stream, VideoStream):
            raise OSError("no video stream")
        height, width = pixels.shape[:2]
        stream.width, stream.height, stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_PER_S)
        stream.codec_context.gop_size, stream.codec_context.thread_count = KEYFRAME_EVERY, 1
        self._stream = stream

    def add(self, pixels: UInt8Array, media_ns: int) -> None:
        """Take a picture; one whose time does not grow by a tick is left out."""
        tick = (media_ns - self._begins_ns) * TICKS_PER_S // NS_PER_S
        if tick <= self._last:
            return
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        if (frame.width, frame.height) != (self._stream.width, self._stream.height):
            frame = frame.reformat(self._stream.width, self._stream.height)
        frame.pts, frame.time_base, self._last = tick, Fraction(1, TICKS_PER_S), tick
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class MediaRecorder:
    """Takes what was sent to the analysis, and writes it.

    Args:
        generation: how often the capture process had been restarted: landmarks go on in the same file, a video in
            another, `NAME-restart1.mp4`.
        live: the source does not wait; a recording does.

    Attributes:
        fault: why nothing more is written, in one line.
        left_out: pictures missing in the video.
    """

    def __init__(self, files: MediaFiles, source: str, generation: int, live: bool) -> None:
        self._files, self._source, self._generation, self._live = files, source, generation, live
        self.fault, self.left_out = "", 0
        self._waiting: deque[_Taken] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._landmarks: LandmarkWriter | None = None
        self._video: VideoWriter | None = None
        self._recording: Recording | None = None
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)

    @property
    def wanted(self) -> bool:
        """Anything is to be written."""
        return self._files.landmarks is not None or self._files.video is not None

    def take(self, image: Image, frame: Frame, rounded: Rounded | None, recording: Recording | None) -> None:
        """Hand a picture over."""
        if not self.wanted or self.fault:
            return
        framing = frame.framing
        picture = None
        if rounded is not None and self._files.landmarks is not None:
            picture = Picture(rounded, frame.frame_id, framing.people, framing.followed_ns, frame.expression)
        pixels = None if self._files.video is None else image.pixels
        with self._changed:
            self._recording = recording
            if self._thread.ident is None:
                self._thread.start()
            while not self._live and len(self._waiting) >= MOST_WAITING and not self.fault and not self._closing:
                self._changed.wait(0.1)
            if pixels is not None and len(self._waiting) >= MOST_WAITING:
                pixels, self.left_out = None, self.left_out + 1
            self._waiting.append(_Taken(frame.media_ns, picture, pixels))
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Write what waits, for so long; whether all is written. Until then a file is whole as far as it goes."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        lower_priority(NICE)
        try:
            while (taken := self._next()) is not None:
                self._write(taken)
            self._close()
        except (OSError, av.error.FFmpegError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.fault = f"nothing more is recorded of {self._source}: {what}"
            with self._changed:
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> _Taken | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            taken = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return taken

    def _write(self, taken: _Taken) -> None:
        if taken.picture is not None and self._files.landmarks is not None:
            self._landmarks = self._landmarks or self._open_landmarks(Path(self._files.landmarks), taken.picture)
            self._landmarks.add(taken.picture)
        if taken.pixels is not None and self._files.video is not None:
            path = Path(self._files.video)
            if self._generation:
                path = path.with_name(f"{path.stem}-restart{self._generation}{path.suffix}")
            self._video = self._video or VideoWriter(path, taken.pixels, taken.media_ns)
            self._video.add(taken.pixels, taken.media_ns)

    def _open_landmarks(self, path: Path, first: Picture) -> LandmarkWriter:
        known, rounded = self._recording, first.rounded
        begins_ns = rounded.media_ns if known is None else known.begins_ns
        fps = known.fps if known else None
        header = LandmarkHeader(self._source, rounded.height, rounded.width, begins_ns, fps, self._files.consent)
        return LandmarkWriter(path, header, resume=self._generation > 0 and path.exists())

    def _close(self) -> None:
        for writer in (self._landmarks, self._video):
            if writer is not None:
                writer.close()


def numbered(path: Path, place: int) -> Path:
    """`NAME.mp4`, then `NAME-2.mp4`, `NAME-3.mp4` ..."""
    return path if place == 0 else path.with_name(f"{path.stem}-{place + 1}{path.suffix}")
