"""Network streams: RTSP, MJPEG over HTTP, MPEG-TS over UDP or TCP; lost connections are made anew."""

from __future__ import annotations

import time

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from realtime.capture.sources.base import DAMAGED, UInt8Array
from realtime.capture.sources.damage import CleanDecoder
from realtime.capture.sources.decode import ToRgb, may_be_still, pixel_aspect, square
from realtime.capture.sources.newest import NewestSource
from realtime.capture.sources.urls import check_url, public_name
from realtime.clock import NS_PER_S
from realtime.config import StreamSettings
from realtime.messages import CaptureState

_REFUSED = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_IN_BURSTS = ("hls", "dash")  # whole segments at once: no frame has a usable grab time
# A server can name other places to read from; a local file must never be one of them.
_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
_UDP_BUFFER = 4 << 20  # bytes: a keyframe of a high-rate stream comes in one burst
_ANALYSE_US = 1_000_000  # the default of 5 s would make every reconnection slow
_KEYFRAME_S = 20.0  # some cameras send a whole picture only this often; until then nothing can be decoded
_LOSS_S = 5.0  # how long pictures are counted before it is judged how many are lost
_LOSS_STEPS = (0.5, 0.1, 0.01)  # shares that are reported when they are passed: every other figure would be a line

_STILL = "this is a still picture, not a live stream; use the camera's RTSP, MJPEG or MPEG-TS address"


class _NotAStream(Exception):
    """What answered can never become a live picture: trying again does not help."""


class StreamSource(NewestSource[av.VideoFrame]):
    """A network stream. `open` returns at once; the connection is made, and made again, in the grabber thread.

    Every picture is decoded, since each builds on the last, but only those read are converted. Damaged pictures, and
    what rests on them, are left out and counted (`CleanDecoder`); `detail` says how many there are. A stream that
    brings none but damaged ones for `_KEYFRAME_S` is taken as it is, and `detail` says that.
    """

    def __init__(self, url: str, settings: StreamSettings) -> None:
        super().__init__(public_name(url))
        self._url = url
        self._settings = settings
        self._to_rgb = ToRgb()
        self.reconnects = 0

    def open(self) -> None:
        check_url(self._url)
        self._report(CaptureState.OPENING, f"connecting to {self.name}")
        self._start()

    def _pixels(self, raw: av.VideoFrame) -> UInt8Array:
        return self._to_rgb(raw)

    def _grab(self) -> None:
        settings = self._settings
        lost_ns, wait_s = time.monotonic_ns(), settings.backoff_min_s
        reason = ""
        while not self._stop.is_set():
            if reason:
                self._report(CaptureState.RECONNECTING, f"{self._trouble(reason)}, connecting again")
            grabbed = self._grabbed
            try:
                reason = self._stream()
            except _NotAStream as error:
                self._give_up(f"{self.name}: {error}")
                return
            if self._grabbed > grabbed:
                lost_ns, wait_s = time.monotonic_ns(), settings.backoff_min_s
            out_s = (time.monotonic_ns() - lost_ns) / NS_PER_S
            if out_s + wait_s > settings.give_up_s:
                self._give_up(f"{self.name}: no connection for {out_s:.0f} s ({reason})")
                return
            self._report(CaptureState.RECONNECTING, f"{self._trouble(reason)}, next try in {wait_s:.1f} s")
            self._stop.wait(wait_s)
            self.reconnects += 1
            wait_s = min(2 * wait_s, settings.backoff_max_s)

    def _trouble(self, reason: str) -> str:
        return f"{'connection lost' if self._grabbed else 'no connection yet'}: {reason}"

    def _stream(self) -> str:
        """One connection, from opening to loss; returns why it was lost."""
        settings = self._settings
        try:
            with av.open(
                self._url,
                options=_options(self._url),
                timeout=(settings.open_timeout_s, settings.read_timeout_s),
                metadata_errors="replace",
            ) as container:
                return self._pump(container)
        except _REFUSED as error:  # never again with the same password: that locks accounts
            raise _NotAStream(f"access refused ({_reason(error)}); check user and password") from None
        except (av.error.FFmpegError, OSError) as error:
            return _reason(error)

    def _pump(self, container: InputContainer) -> str:
        if container.format.name in _IN_BURSTS:
            raise _NotAStream(
                f"{container.format.name.upper()} comes in bursts of seconds; "
                "use the camera's RTSP, MJPEG or MPEG-TS address"
            )
        if container.format.name == "image2":  # goes by the name alone, and declares a duration
            raise _NotAStream(_STILL)
        if container.duration is not None and container.duration > 0:
            raise _NotAStream("this is a recording, not a live stream; download it and replay the file")
        stream = next((video for video in container.streams.video if video.codec_context is not None), None)
        if stream is None:
            return "no video in the stream that can be decoded"
        pictures = self.pictures
        reason = self._pictures(container, stream)
        if may_be_still(container) and self.pictures - pictures <= 1 and not self._stop.is_set():
            raise _NotAStream(_STILL)
        return reason

    def _pictures(self, container: InputContainer, stream: VideoStream) -> str:
        """Publish the stream's clean pictures until it ends; returns why it did."""
        decoder = CleanDecoder(stream, self, "SLICE")  # frame threads would hold pictures back
        loss = _Loss(self.pictures, self.left_out[DAMAGED])
        aspect = pixel_aspect(stream)
        self._to_rgb = ToRgb(aspect)
        rate = f" at {float(stream.average_rate):.1f} fps" if stream.average_rate else ""
        silent_since_ns = time.monotonic_ns()
        for packet in container.demux(stream):
            if self._stop.is_set():
                return "closed"
            pictures = self.pictures
            for frame in decoder.decode(packet):
                silent_since_ns = time.monotonic_ns()
                loss.judge(self.pictures, self.left_out[DAMAGED], silent_since_ns)
                width, height = square(frame.width, frame.height, aspect)
                parts = [f"{width}x{height}{rate}", loss.text, decoder.notice]
                self._report(CaptureState.STREAMING, ", ".join(part for part in parts if part))
                self._publish(frame)
            silent_s = (time.monotonic_ns() - silent_since_ns) / NS_PER_S
            if silent_s > max(self._settings.read_timeout_s, _KEYFRAME_S):
                if decoder.going_on or self.pictures == pictures:
                    return "data, but no picture that can be decoded"
                decoder.go_on(f"no whole picture for {silent_s:.0f} s")
                silent_since_ns = time.monotonic_ns()
            if silent_s > self._settings.read_timeout_s:
                self._report(CaptureState.RECONNECTING, "data, but no whole picture; waiting for a keyframe")
        return "the stream ended"


class _Loss:
    """How many of a stream's pictures are lost to damage, in words that change only when it matters.

    Attributes:
        text: empty while next to nothing is lost.
    """

    def __init__(self, pictures: int, damaged: int) -> None:
        """pictures, damaged: counted so far, on earlier connections."""
        self._pictures, self._damaged = pictures, damaged
        self._since_ns: int | None = None
        self.text = ""

    def judge(self, pictures: int, damaged: int, now_ns: int) -> None:
        """Every `_LOSS_S` from the first clean picture on: what came before it is the wait for a keyframe."""
        if self._since_ns is not None and now_ns - self._since_ns < _LOSS_S * NS_PER_S:
            return
        if self._since_ns is not None:
            share = (damaged - self._damaged) / max(1, pictures - self._pictures)
            passed = next((step for step in _LOSS_STEPS if share > step), None)
            self.text = "" if passed is None else f"more than {passed:.0%} of the pictures left out as damaged"
        self._since_ns, self._pictures, self._damaged = now_ns, pictures, damaged


def _options(url: str) -> dict[str, str]:
    options = {"protocol_whitelist": _PROTOCOLS, "analyzeduration": str(_ANALYSE_US)}
    if url.startswith("rtsp"):
        options["rtsp_flags"] = "prefer_tcp"  # UDP often dies in a firewall, and loses packets where it lives
    if url.startswith("udp"):
        options |= {"buffer_size": str(_UDP_BUFFER), "overrun_nonfatal": "1"}
    return options


def _reason(error: Exception) -> str:
    """What happened, without the URL that FFmpeg's messages repeat."""
    if isinstance(error, av.error.ExitError):
        return "no answer in time"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
