"""An engine that cannot keep up, in a whole session: every frame drained, every window accounted for, none stale."""

import threading
import time

import pytest

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.capture.sources import FileSpec
from realtime.config import Config, EngineSettings
from realtime.latency.stages import WINDOW_COLUMNS
from realtime.output.event_stream import EventStream
from realtime.request import Request
from tests.realtime.conftest import session_loop

pytestmark = pytest.mark.clock

BUDGET_S, ENGINE_S = 0.3, 0.25


class SlowRuntime:
    """A real runtime that also sleeps."""

    remote = False

    def __init__(self, runtime) -> None:
        self._runtime, self.name, self.batch = runtime, runtime.name, runtime.batch

    def notice(self) -> str:
        return ""

    def infer(self, clips):
        time.sleep(ENGINE_S)
        return self._runtime.infer(clips)


def test_a_slow_engine_skips_what_is_stale_and_loses_count_of_nothing(recording, tmp_path):
    model = Bundle.load(bundles.find("untrained-small"))
    config = Config(engine=EngineSettings(staleness_s=BUDGET_S))
    request = Request((FileSpec(str(recording)),), "untrained-small", config, speed=4.0, headless=True)
    with open_runtime(model, "onnxruntime") as runtime:
        session = session_loop(request, model, SlowRuntime(runtime), EventStream([]), tmp_path)
        try:
            session.run(threading.Event())
        finally:
            session.close()
    (stats,), (pipeline,) = session.stats(), session.pipelines
    status = pipeline.status
    assert status.grabbed == status.sent == pipeline.intake.received == 300
    assert stats.dropped == {}
    assert stats.skipped["stale"] > 5
    assert stats.windows > 3
    assert stats.windows + sum(stats.skipped.values()) == stats.windows_due == 33
    rows = pipeline.latency.rows("window")
    due, started = (rows[:, WINDOW_COLUMNS.index(name)] for name in ("due_ns", "infer_start_ns"))
    assert len(rows) == stats.windows
    assert ((started - due) * 1e-9).max() <= BUDGET_S + ENGINE_S
