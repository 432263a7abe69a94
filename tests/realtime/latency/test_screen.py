"""Glass to glass with a simulated camera that films a rendered screen with a known delay."""

import os
import pty
import re
import subprocess
import sys
import threading
import time
from bisect import bisect_right

import cv2
import numpy as np
import pytest

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.capture.sources import CameraSpec, RemoteSpec
from realtime.clock import MonotonicClock
from realtime.config import CameraSettings, Config, StreamOutSettings
from realtime.latency.screen.codes import CELLS, CODES, SIDE, CodeReader, code_at, draw
from realtime.latency.screen.filmed import Shown
from realtime.latency.screen.show import STEPS_PER_S, Surface, half_blocks, run
from realtime.latency.stages import BY_NAME
from realtime.latency_command import report
from realtime.messages import Sighting
from realtime.output.event_stream import EventStream
from realtime.remote.camera_end import serve
from realtime.request import Request
from realtime.transport.authentication import load_client_keys, make_keys
from tests.conftest import ROOT, manet_live, refused
from tests.realtime.conftest import session_loop
from tests.realtime.sessions import ENTER, LEAVE, Terminal, free_port

pytestmark = pytest.mark.clock

MS, S = 1_000_000, 1_000_000_000
FRAME_NS = S // 30
WIDTH, HEIGHT = 1280, 720


def filmed(pattern: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera that looks from the side sees of a screen, (HEIGHT, WIDTH, 3) BGR: warped, blurred, noisy."""
    corners = np.float32([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]) - 0.5
    seen_at = np.float32([[420, 130], [860, 170], [840, 590], [440, 610]])
    way = cv2.getPerspectiveTransform(corners, seen_at)
    screen = cv2.warpPerspective(
        pattern.astype(np.float32),
        way,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=90,
    )
    light = cv2.GaussianBlur(0.7 * screen + 30, (5, 5), 1.2) + rng.normal(0.0, 4.0, (HEIGHT, WIDTH)).astype(np.float32)
    return cv2.merge([np.clip(light, 0, 255).astype(np.uint8)] * 3)


class Remembering(Surface):
    """A screen whose past can be looked up."""

    def __init__(self) -> None:
        self.times_ns: list[int] = []
        self.patterns: list[np.ndarray] = []

    def show(self, pattern: np.ndarray) -> None:
        self.patterns.append(pattern)
        self.times_ns.append(time.monotonic_ns())

    def at(self, time_ns: int) -> np.ndarray:
        place = bisect_right(self.times_ns, time_ns) - 1
        return self.patterns[place] if place >= 0 else np.full((SIDE, SIDE), 255, np.uint8)


class FilmingCamera:
    """Stands in for cv2.VideoCapture: 30 frames/s of the screen as it was `delay_ns` before, exposed for 15 ms."""

    screen: Remembering
    delay_ns: int
    true_ms: list[float]  # what it came to: a busy machine adds to it

    def __init__(self, index: int, backend: int) -> None:
        self._rng, self._next_ns = np.random.default_rng(0), time.monotonic_ns() + FRAME_NS

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, key: int, value: float) -> bool:
        return True

    def get(self, key: int) -> float:
        return 30.0 if key == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, np.ndarray]:
        now_ns = time.monotonic_ns()
        while self._next_ns - now_ns < 5 * MS:  # late: frames are lost, as with any camera
            self._next_ns += FRAME_NS
        out_ns = self._next_ns
        light_ns = out_ns - self.delay_ns
        time.sleep(max(0.0, (light_ns - time.monotonic_ns()) / S))
        exposed = [self.screen.at(light_ns - at * MS).astype(np.float32) for at in (-7, -3, 0, 3, 7)]
        picture = filmed(np.mean(exposed, axis=0), self._rng)
        self._next_ns += FRAME_NS
        while time.monotonic_ns() < out_ns:
            time.sleep(0.0005)
        self.true_ms.append((time.monotonic_ns() - light_ns) / MS)
        return True, picture

    def release(self) -> None:
        pass


@pytest.mark.parametrize("delay_ms", [60, 170])
def test_a_known_delay_is_recovered_within_one_frame(tmp_path, monkeypatch, delay_ms):
    """The whole pipeline; the capture runs in this process, so that its camera can be simulated."""
    screen, shown, stop = Remembering(), Shown(), threading.Event()
    true_ms: list[float] = []
    monkeypatch.setattr(
        cv2,
        "VideoCapture",
        type("Camera", (FilmingCamera,), {"screen": screen, "delay_ns": delay_ms * MS, "true_ms": true_ms}),
    )
    make_keys(tmp_path / "keys", [], ["desk"])
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config = Config(output=StreamOutSettings(keys=str(tmp_path / "keys")))
    request = Request((RemoteSpec(endpoint),), "untrained-small", config, headless=True, limit_s=5.0, read_codes=True)
    model = Bundle.load(bundles.find("untrained-small"))
    showing = threading.Thread(target=run, args=(screen, MonotonicClock(), shown.add, stop))
    camera = threading.Thread(
        target=serve,
        args=(
            CameraSpec(0, CameraSettings()),
            endpoint,
            load_client_keys(tmp_path / "keys" / "desk.key"),
            MonotonicClock(),
            stop,
        ),
    )
    with open_runtime(model, "onnxruntime") as runtime:
        session = session_loop(request, model, runtime, EventStream([]), tmp_path)
        try:
            showing.start()
            camera.start()
            session.run(threading.Event())
        finally:
            session.close()
            stop.set()
            camera.join(20)
            showing.join(20)
    (pipeline,) = session.pipelines
    found = report(session, pipeline, shown).screen
    assert found.read > 0.9 * found.pictures > 20
    assert found.within_ms == pytest.approx(500 / STEPS_PER_S, rel=0.3)
    known_ms = np.median(true_ms)
    assert known_ms >= delay_ms
    assert abs(found.photon_to_frame.p50 - known_ms) < 1000 / 30
    to_event = pipeline.latency.run(BY_NAME["to event"])
    assert found.photon_to_event.count >= 5
    assert abs(found.photon_to_event.p50 - (known_ms + to_event.p50)) < 1000 / 30


def test_the_pattern_is_read_back_and_a_change_under_exposure_leaves_the_others():
    reader, rng = CodeReader(), np.random.default_rng(1)
    for step in (3, 77, CODES - 1, CODES, 5 * CODES + 2):
        codes = {code_at(shown) for shown in range(step - CELLS + 1, step + 1)}
        assert set(reader.read(filmed(draw(step), rng))) == codes
        half = (draw(step).astype(np.float32) + draw(step + 1)) / 2
        assert codes - {code_at(step - CELLS + 1)} <= set(reader.read(filmed(half, rng)))
    assert reader.read(np.full((90, 160, 3), 128, np.uint8)) == ()


def test_light_is_dated_between_the_newest_code_and_the_next():
    shown = Shown()
    for step in range(2 * CODES):
        shown.add(step, step * 33 * MS)
    captured_ns = (CODES + 50) * 33 * MS + 100 * MS

    def light(*codes: int) -> int | None:
        return shown.light_ns(Sighting(0, 0, captured_ns, codes))

    assert light(47, 48, 49, 50) == (CODES + 50) * 33 * MS + 33 * MS // 2
    assert light(49, 48) == (CODES + 49) * 33 * MS + 33 * MS // 2
    assert light() is None
    assert light(400) is None  # on six seconds and more ago: misread
    assert shown.step_ns() == 33 * MS


@pytest.mark.parametrize(("columns", "lines", "times"), [(80, 24, 2), (200, 60, 6), (10, 5, 1)])
def test_the_pattern_fits_into_a_terminal(columns, lines, times):
    text = half_blocks(draw(10), columns, lines)
    rows = text.split("\r\n")
    assert {row.count("▀") for row in rows} == {SIDE * times}
    assert len(rows) == (SIDE * times + 1) // 2


def test_in_a_terminal_the_codes_are_drawn_and_the_terminal_is_left_as_it_was(tmp_path):
    """Without a camera the session ends at once; until then the codes were on."""
    terminal = Terminal("latency", "--screen", "--camera", "77", "--model", "untrained-small", "--engine", "torch")
    try:
        terminal.read_until(re.escape(ENTER), 60)
        terminal.read_until("▀▀".encode(), 60)
        assert terminal.process.wait(60) == 2
        since = terminal.read_until(re.escape(LEAVE), 10)
        assert "77, which does not open" in terminal.seen[: since + 1000].decode()
    finally:
        terminal.close()


def test_the_process_says_what_is_on_and_ends_with_its_input(tmp_path):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "realtime.latency.screen.show", os.ttyname(slave)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(master, 65536), b"")], daemon=True).start()
    try:
        lines = [process.stdout.readline().split() for _ in range(31)]
        assert [int(step) for step, _ in lines] == list(range(31))
        took_s = (int(lines[-1][1]) - int(lines[0][1])) / S
        assert took_s > 0.9 * 30 / STEPS_PER_S
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_wrong_use_is_one_line():
    assert "--screen with a camera" in refused("latency", "--screen", "--demo", "--headless")
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    done = manet_live("latency", "--screen", "--camera", "77", "--headless", "--model", "untrained-small")
    assert done.code == 2
    assert "a display or a terminal for --screen" in done.err
