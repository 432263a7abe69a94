"""Draw docs/overlay.svg: the overlay of a demo session, as it is half a minute in.

python docs/draw_overlay.py
"""

import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.runtimes import open_runtime
from realtime.config import load
from realtime.overlay import save_svg
from realtime.request import Request
from realtime.session import Session
from realtime.sources import SimulatedSpec
from realtime.stream import EventStream
from run_live import DEFAULT_MODEL

AT_S, SEED = 30, 0
COLUMNS, ROWS = 110, 32


class Headless(Session):
    """A session with the overlay's picture but no terminal."""

    def _display(self):
        return nullcontext()


def main() -> None:
    model = Bundle.load(bundles.find(DEFAULT_MODEL))
    with tempfile.TemporaryDirectory() as folder, open_runtime(model) as runtime:
        request = Request((SimulatedSpec(SEED, 60.0, "natural"),), DEFAULT_MODEL, load(None))
        session = Headless(request, model, runtime, EventStream([]), Path(folder))
        stop = threading.Event()

        def draw() -> None:
            save_svg(session.snapshot()[0], Path(__file__).with_name("overlay.svg"), COLUMNS, ROWS)
            stop.set()

        threading.Timer(AT_S + 1.0, draw).start()
        try:
            session.run(stop)
        finally:
            session.close()


if __name__ == "__main__":
    main()
