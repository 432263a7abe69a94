"""Draw docs/overlay.svg: the overlay of a demo session, as it is half a minute in.

python -m tools.draw_overlay
"""

import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from realtime.capture.sources import SimulatedSpec
from realtime.clock import MonotonicClock
from realtime.output.event_stream import EventStream
from realtime.output.overlay import save_svg
from realtime.request import Request
from realtime.session import DEFAULT_MODEL, open_models
from realtime.session_loop import SessionLoop
from realtime.session_setup import Setup

AT_S, SEED = 30, 0
COLUMNS, ROWS = 110, 32
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "overlay.svg"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as runtimes:
        request = Request((SimulatedSpec(SEED, 60.0, "natural"),), DEFAULT_MODEL, headless=False)
        models = open_models(request, runtimes)
        session = SessionLoop(Setup(request, models, EventStream(), Path(folder), MonotonicClock()))
        stop = threading.Event()

        def draw() -> None:
            save_svg(session.snapshot()[0], PICTURE, COLUMNS, ROWS)
            stop.set()

        threading.Timer(AT_S + 1.0, draw).start()
        try:
            session.run(stop)
        finally:
            session.close()


if __name__ == "__main__":
    main()
