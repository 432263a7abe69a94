"""What several tests of the live path share."""

from pathlib import Path

import pytest

from realtime.analysis.actions import ActionModel
from realtime.analysis.lane import CameraContext, Consumer, Lane
from realtime.analysis.receiver import ReceiverThread
from realtime.analysis.visibility import Visibility
from realtime.capture.order import ViewSpec
from realtime.capture.sources import EndOfSource, FileSpec, Image, open_source
from realtime.capture.sources.simulated import Truth
from realtime.clock import MonotonicClock, SessionStart
from realtime.config import Config
from realtime.latency import LatencyLog
from realtime.output.event_stream import EventStream
from realtime.output.lines import SessionLine
from realtime.output.outputs import RecordOutput
from realtime.session_loop import SessionLoop
from realtime.session_setup import Setup
from tests.bundles import untrained_emotion
from tests.conftest import CLIPS, Finished, manet_live
from tests.realtime.sessions import EVENTFUL

LINE = SessionLine("started", "m", "nothing", "torch", "s", None)


class Ignoring(Consumer):
    """Takes what a model says, and does nothing with it."""

    def push(self, window, result):
        self.judged += 1

    def stats(self, totals):
        return {}

    def shown(self, position_ns):
        return {}


def receiver_thread(receiver, cutter, queue, size, clock=None) -> ReceiverThread:
    """Of camera 0, with one lane that no engine serves."""
    clock, start = clock or MonotonicClock(), SessionStart()
    camera = CameraContext(0, False, Config(), start, EventStream(), clock, LatencyLog(), Truth())
    return ReceiverThread(
        receiver, [Lane(cutter, queue, Ignoring())], camera, ViewSpec(size), Visibility(0, start, 1, False)
    )


def session_loop(request, model, runtime, stream, folder) -> SessionLoop:
    """A session that runs in this process, with a runtime at hand."""
    models = (ActionModel(model, runtime, request.config),)
    return SessionLoop(Setup(request, models, stream, folder, MonotonicClock()))


def record(folder: Path, session: dict = {}) -> RecordOutput:  # noqa: B006 - read alone
    """The record of a session that has begun."""
    made = RecordOutput(folder)
    made.start(session)
    made.begin()
    return made


def read(name: str) -> list[Image]:
    """The pictures of a real clip; without it the test is skipped."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip("the shared clips are not here")
    images = []
    with open_source(FileSpec(str(path))) as source:
        while True:
            try:
                got = source.read(5.0)
            except EndOfSource:
                return images
            assert got is not None
            images.append(got)


@pytest.fixture(scope="session")
def emotion_bundle(tmp_path_factory) -> Path:
    """An emotion model that sees what `landmarks-small` sees, and says that it is untrained."""
    return untrained_emotion(tmp_path_factory.mktemp("emotion") / "untrained-emotion").path


@pytest.fixture(scope="session")
def undisturbed(recording: Path) -> Finished:
    """The replay of a recording in which many events happen."""
    return manet_live("replay", recording, "--speed", "max", *EVENTFUL)
