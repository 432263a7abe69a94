"""The session on Lab Streaming Layer, beside EEG and physiology: events and markers, posteriors, the expression.

Everything is stamped with the moment at which it was filmed, on LSL's clock. Events and markers are texts like MNE's
tags: `action/head/nodding/confirmed` at the onset, `action/head/nodding/ended` at the offset, `marker/question 1`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engines.common.errors import BadInput
from engines.landmarks.steps import RATE_HZ
from engines.taxonomy import ACTIONS, BODY_PARTS, EMOTIONS
from realtime.clock import NS_PER_S
from realtime.output.lines import ActionLine, EmotionLine, Line, MarkerLine, Posteriors
from realtime.output.observer import Observer

Scope = Literal["machine", "network"]  # who may find the streams
CHUNK = 1  # samples are sent at once
SILENT = -3  # its library logs to standard error, where the overlay may be drawn


class LslOutput(Observer):
    """Streams `manet-live events`, `manet-live posteriors N` and `manet-live emotion N`, N the camera.

    Raises:
        BadInput: pylsl or its library is not there.
    """

    name = "lsl"
    wants_posteriors = True

    def __init__(self, scope: Scope = "machine") -> None:
        try:
            import pylsl
        except (ImportError, RuntimeError, OSError) as error:  # not installed; its library is missing, or does not load
            got = " ".join(str(error).split())[:200]
            raise BadInput("pylsl for --lsl", got, "pip install 'manet-live[lab]'") from None
        self._lsl: Any = pylsl
        reach = "machine" if scope == "machine" else "site"
        pylsl.set_config_content(f"[multicast]\nResolveScope = {reach}\n[log]\nlevel = {SILENT}\n")
        self._to_lsl_s = pylsl.local_clock() - time.monotonic_ns() / NS_PER_S  # both are the machine's monotonic clock
        self._outlets: dict[tuple[str, int], Any] = {}
        self._zero_s: dict[int, float] = {}  # camera → LSL's clock at the session's zero, as of its newest scores
        self._id, self._rate_hz, self._hop_s = "", 0.0, 1.0

    def start(self, session: Mapping[str, Any]) -> None:
        card, config = session["model"], session["config"]
        steps = "landmarks" in card.network.inputs
        self._rate_hz = RATE_HZ if steps else 1.0 / min(config.window.hop_s, card.span_s)
        self._hop_s = config.emotion.hop_s
        self._id = f"manet-live {session['started_at']}"
        self._open("events", 0, "Markers", ["event"], 0.0, "string")
        for camera in range(len(session["sources"])):
            labels = [action.name for action in ACTIONS] + [f"part: {part}" for part in BODY_PARTS]
            self._open("posteriors", camera, "Posteriors", labels, self._rate_hz, "float32")
            if session["emotion_model"] is not None:
                self._open("emotion", camera, "Expression", list(EMOTIONS), 1.0 / self._hop_s, "float32")

    def _open(self, what: str, camera: int, kind: str, labels: Sequence[str], rate_hz: float, values: str) -> None:
        name = "manet-live events" if what == "events" else f"manet-live {what} {camera}"
        info = self._lsl.StreamInfo(name, kind, len(labels), rate_hz, values, f"{self._id} {what} {camera}")
        channels = info.desc().append_child("channels")
        for label in labels:
            channels.append_child("channel").append_child_value("label", label)
        self._outlets[what, camera] = self._lsl.StreamOutlet(info, CHUNK)

    def on_posteriors(self, posteriors: Posteriors) -> None:
        self._zero_s[posteriors.camera] = posteriors.captured_ns / NS_PER_S - posteriors.time_s + self._to_lsl_s
        self._push("posteriors", posteriors.camera, posteriors.values.tolist(), posteriors.time_s)

    def on_line(self, line: Line) -> None:
        if isinstance(line, ActionLine):
            ended = line.offset_s is not None and line.state == "ended"
            text = f"action/{line.body_part}/{line.action or 'unknown'}/{line.state}"
            self._push("events", line.camera, [text], line.offset_s if ended and line.offset_s else line.onset_s)
        elif isinstance(line, MarkerLine):
            self._push("events", 0, [f"marker/{line.label}"], line.time_s)
        elif isinstance(line, EmotionLine):
            shares = [float("nan")] * len(EMOTIONS) if line.probs is None else [line.probs[name] for name in EMOTIONS]
            self._push("emotion", line.camera, shares, line.time_s)

    def _push(self, what: str, camera: int, values: list[Any], time_s: float) -> None:
        """A sample at this time of the session; now, where nothing was judged yet that says when that was."""
        zero_s = self._zero_s.get(camera)
        stamp = self._lsl.local_clock() if zero_s is None else zero_s + time_s
        self._outlets[what, 0 if what == "events" else camera].push_sample(values, stamp)

    def close(self) -> None:
        self._outlets.clear()  # which closes them
