"""Recordings, read with their true presentation times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from engines.common.errors import BadInput
from realtime.capture.sources.base import OUT_OF_ORDER, TIME, EndOfSource, Image, Source
from realtime.capture.sources.damage import CleanDecoder
from realtime.capture.sources.decode import ToRgb, may_be_still, pixel_aspect, square
from realtime.capture.sources.timeline import LOOK_AHEAD, Timeline, believable_rate, stored_ns, without_outliers
from realtime.clock import NS_PER_S, to_s
from realtime.messages import CaptureState, Recording

# FFmpeg also "plays" text (as a terminal) and still pictures; neither is a recording of a person.
_NOT_VIDEO = {"tty": "a text file", "image2": "a still picture", "concat": "a play list", "hls": "a play list"}
# One decoding thread costs the least CPU in all; only pictures beyond full HD need more to keep up.
_THREADED_PIXELS = 2_500_000
_LONGEST_NS = 7 * 24 * 3600 * NS_PER_S  # a recording that declares more is not believed
_SHORT_NS = NS_PER_S  # a recording that ends this long before its declared end is shorter than it says


class FileSource(Source):
    """A video file. Pictures come as fast as they are asked for; pacing is the caller's.

    Times follow `Timeline`. Damaged pictures are left out and counted (`CleanDecoder`); a recording that breaks off
    ends there.
    """

    def __init__(
        self, path: Path, resume_after_ns: int | None = None, fps: float | None = None, stream: int | None = None
    ) -> None:
        """resume_after_ns: pictures up to and including this presentation time are decoded but not returned.

        They are decoded rather than sought over: only so do frame ids and times stay those of an unbroken read.

        fps: the true frame rate, Hz, which then counts in place of the stored times.
        stream: number among the video streams, from 0; None: the one flagged as default, else the longest.
        """
        super().__init__()
        self.path = path
        self._resume_after_ns = resume_after_ns
        self._fps = fps
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._timeline = Timeline(None)
        self._to_rgb = ToRgb()
        self._stream_number = stream
        self._among = (1, 0)  # video streams, and which of them is read
        self._next_id = 0
        self._decoder: CleanDecoder | None = None
        self._declared_end_ns: int | None = None
        self._last_ns = 0  # the last picture handed over
        self._broke_off = self._rate = self._remark = self._choice = ""

    def open(self) -> None:
        check_readable(self.path)
        try:
            # Only local files: a play list in disguise must not reach for the network.
            container = av.open(
                str(self.path.resolve()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )  # titles in any character set
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(
                "a video file",
                f"{self.path} ({_reason(error)})",
                "check that it is a complete recording, not cut off while being written",
            ) from None
        self._container = container
        stream = self._video_stream(container)
        aspect = pixel_aspect(stream)
        self._to_rgb = ToRgb(aspect)
        size = stream.codec_context.width * stream.codec_context.height
        self._decoder = CleanDecoder(stream, self, "AUTO" if size > _THREADED_PIXELS else "NONE")
        self._declared_end_ns = _declared_end_ns(container, stream)
        self._frames = self._decode(container, stream, self._decoder)
        beginning = list(itertools.islice(self._frames, LOOK_AHEAD))
        if not beginning:
            raise BadInput(
                "a video with pictures in it",
                f"{self.path}, of which not one could be decoded",
                "check that it plays elsewhere; record it again",
            )
        if may_be_still(container) and len(beginning) == 1:
            raise self._no_video("a still picture")
        self._set_rate(stream, beginning)
        self._frames = itertools.chain(beginning, self._frames)
        self._frames = without_outliers(self._frames, self.left_out)
        width, height = square(beginning[0].width, beginning[0].height, aspect)
        rate = self._fps or stream.average_rate
        begins_ns = 0 if self._fps else round((container.start_time or 0) * NS_PER_S / av.time_base)
        self.recording = Recording(begins_ns, width, height, float(rate) if rate else None, *self._among)
        stretched = f", from pixels of {aspect.numerator}:{aspect.denominator}" if aspect != 1 else ""
        self._format = f"{width}x{height}{self._rate}{stretched}{self._choice}"
        self.state, self.detail = CaptureState.STREAMING, self._format

    def read(self, timeout_s: float) -> Image | None:
        if self._container is None:
            raise EndOfSource(str(self.path))
        deadline_ns = time.monotonic_ns() + round(timeout_s * NS_PER_S)
        while True:
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

    def _set_rate(self, stream: VideoStream, beginning: list[av.VideoFrame]) -> None:
        """Decide how times are made.

        Raises:
            BadInput: the file claims a frame rate that cannot be.
        """
        declared = stream.average_rate or stream.guessed_rate
        if self._fps is not None:
            self._rate = f" at {self._fps:.1f} fps, as given"
            self._timeline = Timeline(Fraction(self._fps))
            return
        times_ns = [time_ns for time_ns in map(stored_ns, beginning) if time_ns is not None]
        rate, self._remark = believable_rate(declared, times_ns)
        if rate is None and (declared or len(times_ns) > 1):
            shown = f"{float(declared):.3g} frames/s" if declared else "times that cannot be"
            raise BadInput(
                "a recording with a frame rate that can be",
                f"{self.path}, which claims {shown}",
                "give the true rate with --fps, for example --fps 25",
            )
        self._timeline = Timeline(rate)
        self._rate = f" at {float(rate):.1f} fps" if rate and stream.average_rate else ""
        self._rate += f" ({self._remark})" if self._remark else ""

    def _video_stream(self, container: InputContainer) -> VideoStream:
        kind = container.format.name
        if kind in _NOT_VIDEO:
            raise self._no_video(_NOT_VIDEO[kind])
        covers = Disposition.attached_pic | Disposition.timed_thumbnails
        films = [stream for stream in container.streams.video if not stream.disposition & covers]
        if films and not any(stream.codec_context for stream in films):
            raise BadInput(
                "a video in a known format",
                f"{self.path}, whose format nothing here decodes",
                "convert it, for example to H.264 in .mp4",
            )
        films = [stream for stream in films if stream.codec_context]
        if films:
            return self._choose(films)
        what = "which holds sound alone" if container.streams.audio else "which holds no pictures"
        raise BadInput("a file with a video stream", f"{self.path}, {what}", "give the recording that shows the person")

    def _choose(self, films: list[VideoStream]) -> VideoStream:
        number = self._stream_number
        if number is None:
            number = max(
                range(len(films)),
                key=lambda at: (bool(films[at].disposition & Disposition.default), _length(films[at]), -at),
            )
        elif not 0 <= number < len(films):
            raise BadInput(
                f"--stream 0 to {len(films) - 1}", str(number), f"{self.path} has so many video streams: {len(films)}"
            )
        self._among = len(films), number
        if len(films) > 1:
            self._choice = f", video stream {number} of {len(films)} (--stream 0 to {len(films) - 1})"
        return films[number]

    def _decode(self, container: InputContainer, stream: VideoStream, decoder: CleanDecoder) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:  # the container itself breaks off
                self._broke_off = _reason(error)
                return
            for frame in decoder.decode(packet):
                if self._fps is not None:  # damaged pictures have taken their time, too
                    frame.pts, frame.time_base = self.pictures - 1, 1 / Fraction(self._fps)
                yield frame

    def _summary(self) -> str:
        timeline = self._timeline
        parts = [f"{self.pictures - self.left_out.total()} pictures"]
        counts = {**self.left_out, "without a time": timeline.guessed, "clock restarts": timeline.restarts}
        parts += [f"{count} {what}" for what, count in counts.items() if count]
        if self._broke_off:
            parts.append(f"breaks off: {self._broke_off}")
        if self._remark:
            parts.append(self._remark)
        believed = self._fps is None and not self.left_out[TIME] and not timeline.restarts
        if (
            believed
            and self._declared_end_ns is not None
            and _SHORT_NS < self._declared_end_ns - self._last_ns < _LONGEST_NS
        ):
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
        if path.exists() and not path.is_file():  # opening a named pipe waits for whoever writes into it
            raise BadInput("a video file", f"{path}, a pipe or a device", f"use standard input: replay - < {path}")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise BadInput("a video file", f"{path} ({error.strerror})", "check the path") from None
    if empty:
        raise BadInput("a video file", f"{path}, an empty file", "check that the recording was finished")


def _length(stream: VideoStream) -> float:
    """Seconds, as far as the file says; 0 where it does not."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:00:04.040000000
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    except ValueError:
        return 0.0


def _declared_end_ns(container: InputContainer, stream: VideoStream) -> int | None:
    """Where the last picture should end, on the file's clock; None where that is not said."""
    if stream.duration is not None and stream.time_base is not None:
        return round(((stream.start_time or 0) + stream.duration) * stream.time_base * NS_PER_S)
    if container.duration is None:
        return None
    return round(((container.start_time or 0) + container.duration) * NS_PER_S / av.time_base)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
