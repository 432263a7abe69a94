"""Recordings, read with their true presentation times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from engines.errors import BadInput
from realtime.clock import NS_PER_S, to_s
from realtime.messages import CaptureState
from realtime.sources.base import OUT_OF_ORDER, EndOfSource, Image, Source
from realtime.sources.damage import CleanDecoder
from realtime.sources.decode import ToRgb, may_be_still
from realtime.sources.timeline import Timeline

# FFmpeg also "plays" text (as a terminal) and still pictures; neither is a recording of a person.
_NOT_VIDEO = {"tty": "a text file", "image2": "a still picture", "concat": "a play list", "hls": "a play list"}
# One decoding thread costs the least CPU in all; only pictures beyond full HD need more to keep up.
_THREADED_PIXELS = 2_500_000
_SHORT_NS = NS_PER_S  # a recording that ends this long before its declared end is shorter than it says


class FileSource(Source):
    """A video file. Pictures come as fast as they are asked for; pacing is the caller's.

    Times follow `Timeline`. Damaged pictures are left out and counted (`CleanDecoder`); a recording that breaks off
    ends there.
    """

    def __init__(self, path: Path, resume_after_ns: int | None = None) -> None:
        """resume_after_ns: pictures up to and including this presentation time are decoded but not returned.

        They are decoded rather than sought over: only so do frame ids and times stay those of an unbroken read.
        """
        super().__init__()
        self.path = path
        self._resume_after_ns = resume_after_ns
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._first: av.VideoFrame | None = None
        self._timeline = Timeline(None)
        self._to_rgb = ToRgb()
        self._next_id = 0
        self._decoder: CleanDecoder | None = None
        self._declared_end_ns: int | None = None
        self._last_ns = 0  # the last picture handed over
        self._broke_off = ""

    def open(self) -> None:
        check_readable(self.path)
        try:
            # Only local files: a play list in disguise must not reach for the network.
            container = av.open(str(self.path.resolve()), options={"protocol_whitelist": "file"},
                                metadata_errors="replace")  # titles in any character set
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput("a video file", f"{self.path} ({_reason(error)})",
                           "check that it is a complete recording, not cut off while being written") from None
        self._container = container
        stream = self._video_stream(container)
        size = stream.codec_context.width * stream.codec_context.height
        self._decoder = CleanDecoder(stream, self, "AUTO" if size > _THREADED_PIXELS else "NONE")
        self._declared_end_ns = _declared_end_ns(container, stream)
        self._timeline = Timeline(stream.average_rate or stream.guessed_rate)
        self._frames = self._decode(container, stream, self._decoder)
        self._first = next(self._frames, None)
        if self._first is None:
            raise BadInput("a video with pictures in it", f"{self.path}, of which not one could be decoded",
                           "check that it plays elsewhere; record it again")
        if may_be_still(container):
            second = next(self._frames, None)
            if second is None:
                raise self._no_video("a still picture")
            self._frames = itertools.chain([second], self._frames)
        rate = f" at {float(stream.average_rate):.1f} fps" if stream.average_rate else ""
        self._format = f"{self._first.width}x{self._first.height}{rate}"
        self.state, self.detail = CaptureState.STREAMING, self._format

    def read(self, timeout_s: float) -> Image | None:
        if self._container is None:
            raise EndOfSource(str(self.path))
        deadline_ns = time.monotonic_ns() + round(timeout_s * NS_PER_S)
        while True:
            frame, self._first = self._first, None
            if frame is None:
                frame = next(self._frames, None)
            if frame is None:
                self.state, self.detail = CaptureState.ENDED, self._summary()
                raise EndOfSource(str(self.path))
            frame_id, self._next_id = self._next_id, self._next_id + 1
            media_ns = self._timeline.place(frame.pts, frame.dts, frame.time_base)
            if media_ns is None:
                self.left_out[OUT_OF_ORDER] += 1
            else:
                self._last_ns = media_ns
            if media_ns is not None and (self._resume_after_ns is None or media_ns > self._resume_after_ns):
                self.detail = self._format
                return Image(self._to_rgb(frame), frame_id, time.monotonic_ns(), media_ns)
            if time.monotonic_ns() >= deadline_ns:
                if self._resume_after_ns is not None:
                    self.detail = f"skipping to {to_s(self._resume_after_ns):.1f} s"
                return None

    def close(self) -> None:
        container, self._container = self._container, None
        self._frames = iter(())
        if container is not None:
            container.close()

    def _no_video(self, what: str) -> BadInput:
        return BadInput("a video file", f"{self.path}, {what}", "give a recording such as .mp4, .mkv, .mov or .avi")

    def _video_stream(self, container: InputContainer) -> VideoStream:
        kind = container.format.name
        if kind in _NOT_VIDEO:
            raise self._no_video(_NOT_VIDEO[kind])
        covers = Disposition.attached_pic | Disposition.timed_thumbnails
        for stream in container.streams.video:
            if not stream.disposition & covers:
                if stream.codec_context is None:  # of a codec that FFmpeg does not know
                    raise BadInput("a video that FFmpeg can decode", f"{self.path}, of an unknown codec",
                                   "convert it to H.264 in .mp4")
                return stream
        what = "which holds sound alone" if container.streams.audio else "which holds no pictures"
        raise BadInput("a file with a video stream", f"{self.path}, {what}", "give the recording that shows the person")

    def _decode(self, container: InputContainer, stream: VideoStream,
                decoder: CleanDecoder) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:  # the container itself breaks off
                self._broke_off = _reason(error)
                return
            yield from decoder.decode(packet)

    def _summary(self) -> str:
        timeline = self._timeline
        parts = [f"{self.pictures - self.left_out.total()} pictures"]
        counts = {**self.left_out, "without a time": timeline.guessed, "clock restarts": timeline.restarts}
        parts += [f"{count} {what}" for what, count in counts.items() if count]
        if self._broke_off:
            parts.append(f"breaks off: {self._broke_off}")
        if self._declared_end_ns is not None and self._declared_end_ns - self._last_ns > _SHORT_NS:
            end_s, declared_s = to_s(self._last_ns), to_s(self._declared_end_ns)
            parts.append(f"ends at {end_s:.1f} s of the {declared_s:.1f} s that it declares")
        if self._decoder is not None and self._decoder.notice:
            parts.append(self._decoder.notice)
        return ", ".join(parts)


def check_readable(path: Path) -> None:
    """Raise `BadInput` unless `path` is a readable file with something in it."""
    try:
        if path.is_dir():
            raise BadInput("a video file", f"{path}, a folder", "name one recording inside it")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise BadInput("a video file", f"{path} ({error.strerror})", "check the path") from None
    if empty:
        raise BadInput("a video file", f"{path}, an empty file", "check that the recording was finished")


def _declared_end_ns(container: InputContainer, stream: VideoStream) -> int | None:
    """Where the last picture should end, on the file's clock; None where that is not said."""
    if stream.duration is not None and stream.time_base is not None:
        return round(((stream.start_time or 0) + stream.duration) * stream.time_base * NS_PER_S)
    if container.duration is None:
        return None
    return round(((container.start_time or 0) + container.duration) * NS_PER_S / av.time_base)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
