"""The capture process, one per camera: source → view → wire.

Runs as `python -m realtime.capture.process`. Its first line of standard input is the `CaptureSpec` as JSON; the end
of standard input stops it, so it also stops when the analysis process dies. Nothing but what the view lets
through leaves it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import Meta

from engines.common.errors import BadInput
from realtime.capture.media import MediaFiles, MediaRecorder
from realtime.capture.mediapipe.process import block_reports
from realtime.capture.order import CaptureOrder
from realtime.capture.sources import LocalSpec, open_source
from realtime.capture.sources.base import EndOfSource, Image, Source, SourceLost
from realtime.capture.views.base import View
from realtime.capture.views.make import make_view
from realtime.clock import NS_PER_S, Clock, MonotonicClock
from realtime.clock_offset import ClockOffset
from realtime.latency.screen.codes import CodeReader
from realtime.messages import (
    HEARTBEAT_S,
    MOST_CODES,
    MOST_DETAIL,
    CaptureState,
    CaptureStatus,
    Frame,
    Recording,
    Sighting,
)
from realtime.transport import wire
from realtime.transport.authentication import ClientKeys, Token

MAX_PAUSE_NS = 10 * NS_PER_S  # a longer hole in a recording is not waited for
LATE_NS = NS_PER_S  # a replay that is later than this goes on from where it is
CLOSING_S = 5.0  # how long anything may take once it is to end


class CaptureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a capture process needs to know."""

    source: LocalSpec
    order: CaptureOrder
    endpoint: str
    keys: ClientKeys | Token  # for the endpoint
    speed: Annotated[float, Meta(gt=0)] | None = 1.0  # media seconds per second; None: full speed, lossless
    media: MediaFiles = MediaFiles()  # what is kept on disk

    def to_json(self) -> bytes:
        """One line. Python's own JSON: a recording's name may be any bytes, which msgspec takes for no text."""
        return json.dumps(msgspec.to_builtins(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> CaptureSpec:
        """Raises ValueError or msgspec.ValidationError: it is none."""
        return msgspec.convert(json.loads(line), cls)


class Capture:
    """One source, its view and its sender, until the source ends or `stop` is set.

    Args:
        offset: where the analysis runs on another machine: its clock, to which every stamp is brought. Media time is
            then the time of the grab, whatever the source.
    """

    def __init__(
        self, spec: CaptureSpec, clock: Clock, stop: threading.Event, offset: ClockOffset | None = None
    ) -> None:
        self._spec, self._clock, self._stop, self._offset = spec, clock, stop, offset
        self._sender = wire.Sender(spec.endpoint, spec.order.queue_frames, spec.keys)
        self._status = CaptureStatus(spec.order.camera_id, spec.order.generation, CaptureState.OPENING)
        self._recording: Recording | None = None
        self._media = MediaRecorder(spec.media, spec.source.name, spec.order.generation, spec.source.live)
        self._left_out: Counter[str] = Counter()  # by the source
        self._dropped: Counter[str] = Counter()  # here
        self._grabbed = self._sent = 0
        self._reported_ns = 0
        self._origin: tuple[int, int] | None = None  # (wall ns, media ns) of the first frame, for pacing
        self._paced_ns = 0  # media time of the last frame

    @property
    def status(self) -> CaptureStatus:
        """What was last reported."""
        return self._status

    @property
    def sent(self) -> int:
        """Frames, so far."""
        return self._sent

    def run(self) -> None:
        """Capture until the end, then wait for `stop`; every way out is reported as a status."""
        try:
            self._capture()
            self._media.close(CLOSING_S)
            self._stop.wait()  # until the analysis has read everything: it would lose what is under way at a close
        finally:
            self._sender.close()

    def _capture(self) -> None:
        self._report(CaptureState.OPENING, self._spec.source.name)
        try:
            view = make_view(
                self._spec.order.view, self._spec.source.tracked, keep=self._spec.media.landmarks is not None
            )
            with contextlib.closing(view), open_source(self._spec.source) as source:
                self._recording = source.recording
                try:
                    self._stream(source, view)
                except EndOfSource:
                    self._left_out = Counter(source.left_out)
                    while not self._media.close(HEARTBEAT_S) and not self._stop.is_set():
                        self._report(self._status.state, self._status.detail)
                    self._report(CaptureState.ENDED, source.detail)
        except BadInput as error:
            self._report(CaptureState.FAILED, str(error), bad_input=True)
        except ImportError as error:  # no restart brings it
            got = str(error).partition("\n")[0]
            missing = BadInput("every library that manet-live needs", got, "install manet-live again")
            self._report(CaptureState.FAILED, str(missing), bad_input=True)
        except SourceLost as error:
            self._report(CaptureState.FAILED, str(error))

    def _stream(self, source: Source, view: View) -> None:
        order = self._spec.order
        reader = CodeReader() if order.view.codes else None
        while not self._stop.is_set():
            image = source.read(HEARTBEAT_S)
            self._left_out = Counter(source.left_out)
            if (source.state, source.detail) != (self._status.state, self._status.detail) or image is None:
                self._report(source.state, source.detail)
            if image is None:
                continue
            self._grabbed += 1
            if not source.live and self._spec.speed is not None:
                image = self._paced(image, self._spec.speed)
            read_ns = self._clock.now_ns()
            body, framing = view.apply(image)
            viewed_ns = self._clock.now_ns()
            face = view.face(image)
            expression = view.expression(image) if order.view.expression else None
            faced_ns = self._clock.now_ns()
            frame = Frame(
                camera_id=order.camera_id,
                frame_id=image.frame_id,
                captured_ns=image.captured_ns,
                media_ns=image.media_ns,
                body=body,
                face=face,
                expression=expression,
                preview=view.preview(body) if order.view.preview else None,
                landmarks=view.landmarks(),
                framing=framing,
                read_ns=read_ns,
                viewed_ns=viewed_ns,
                faced_ns=faced_ns,
                generation=order.generation,
            )
            frame = frame if self._offset is None else _brought_over(frame, self._offset)
            if self._push(frame):
                self._media.take(image, frame, view.rounded, source.recording)
            if reader is not None:  # behind the frame, which must not wait for it
                self._send_codes(frame, reader.read(image.pixels))
            if self._clock.now_ns() - self._reported_ns > NS_PER_S:
                self._report(source.state, source.detail)

    def _paced(self, image: Image, speed: float) -> Image:
        """Wait until the recording's clock reaches the image, as a camera would; it is captured then."""
        if self._origin is None:
            self._origin = (self._clock.now_ns(), image.media_ns)
            self._paced_ns = image.media_ns
        if image.media_ns - self._paced_ns > MAX_PAUSE_NS:  # nobody waits through a hole in a recording
            self._origin = (self._clock.now_ns(), image.media_ns)
        self._paced_ns = image.media_ns
        wall_ns, media_ns = self._origin
        due_ns = wall_ns + int((image.media_ns - media_ns) / speed)
        late_ns = self._clock.now_ns() - due_ns
        if late_ns > LATE_NS:  # a pause: what is missed is not made up for in a rush that nobody could follow
            self._origin = (wall_ns + late_ns, media_ns)
        while not self._stop.is_set() and (now_ns := self._clock.now_ns()) < due_ns:
            heartbeat_ns = now_ns + int(HEARTBEAT_S * NS_PER_S)
            self._clock.sleep_until(min(due_ns, heartbeat_ns))
            if heartbeat_ns < due_ns:
                self._report(self._status.state, self._status.detail)
        return replace(image, captured_ns=self._clock.now_ns())

    def _push(self, frame: Frame) -> bool:
        """Send a frame; False where it was dropped."""
        parts = wire.encode(frame)
        if not self._spec.source.live:  # it can wait: the analysis sets the pace, or was stopped for a while
            while not self._sender.send(parts, HEARTBEAT_S):
                if self._stop.is_set():
                    return False
        elif not self._sender.send(parts, 0.0):
            self._dropped["wire"] += 1
            return False
        self._sent += 1
        return True

    def _send_codes(self, frame: Frame, codes: tuple[int, ...]) -> None:
        sighting = Sighting(frame.camera_id, frame.generation, frame.captured_ns, codes[:MOST_CODES])
        self._sender.send(wire.encode(sighting), 0.0)

    def _report(self, state: CaptureState, detail: str, bad_input: bool = False) -> None:
        self._status = msgspec.structs.replace(
            self._status,
            state=state,
            detail=detail[:MOST_DETAIL],
            bad_input=bad_input,
            grabbed=self._grabbed,
            sent=self._sent,
            dropped=dict(self._left_out + self._dropped),
            clock=self._offset.reading(self._clock.now_ns()) if self._offset else None,
            recording=self._recording,
            media_fault=self._media.fault[:MOST_DETAIL],
            media_left_out=self._media.left_out,
        )
        self._reported_ns = self._clock.now_ns()
        final = state in (CaptureState.ENDED, CaptureState.FAILED)
        parts = wire.encode(self._status)
        while not self._sender.send(parts, CLOSING_S if final else 0.0) and final and not self._stop.is_set():
            continue


def _brought_over(frame: Frame, offset: ClockOffset) -> Frame:
    """The frame with its stamps on the other machine's clock."""
    captured_ns = offset.to_other(frame.captured_ns, frame.faced_ns)
    shift_ns = captured_ns - frame.captured_ns
    return replace(
        frame,
        captured_ns=captured_ns,
        media_ns=captured_ns,
        read_ns=frame.read_ns + shift_ns,
        viewed_ns=frame.viewed_ns + shift_ns,
        faced_ns=frame.faced_ns + shift_ns,
    )


def main() -> int:
    """Entry point of the process: read the spec, capture, stop at the end of standard input."""
    faulthandler.enable(os.dup(sys.stderr.fileno()))  # a copy, which holds while libraries are kept quiet
    block_reports()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the analysis process's to handle
    spec = CaptureSpec.from_json(sys.stdin.buffer.readline())
    stop = threading.Event()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Capture(spec, MonotonicClock(), stop).run()
    return 0


def _stop_at_end_of_input(stop: threading.Event) -> None:
    # os.read, not sys.stdin: its lock, held by a daemon thread, would abort the interpreter's shutdown
    while os.read(0, 1):
        continue
    stop.set()
    time.sleep(CLOSING_S)
    faulthandler.dump_traceback()  # something would not end: say where, then go
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
