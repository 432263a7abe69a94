"""A GPU or an inference server can be lost while it runs; a session need not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engines.runtimes.base import Inputs, NoAnswer, Outputs, Runtime, RuntimeFailed, UInt8Array, Video
from engines.runtimes.inference_server import LOST


class Fallback(Runtime):
    """An active runtime until it breaks, then, for good, the one that `open_other` gives; `report` receives why.

    `name` is that of the runtime at work. If no other can be opened, or that one breaks too, RuntimeFailed goes on.
    """

    def __init__(self, first: Runtime, open_other: Callable[[], Runtime], report: Callable[[str], None]) -> None:
        super().__init__(first.bundle, first.threads)
        self.name, self.report, self.batch, self.remote = first.name, report, first.batch, first.remote
        self._at_work, self._open_other = first, open_other
        self._active = True

    def notice(self) -> str:
        return self._at_work.notice()

    def _activate(self) -> None:
        self._at_work.activate()

    def _run(self, inputs: Inputs) -> Outputs:
        return self._try(lambda runtime: runtime.run(inputs))

    def predict(self, frames: UInt8Array, videos: Sequence[Video]) -> Outputs:
        """The other begins videos anew."""
        return self._try(lambda runtime: runtime.predict(frames, videos))

    def _try(self, ask: Callable[[Runtime], Outputs]) -> Outputs:
        try:
            return ask(self._at_work)
        except RuntimeFailed as error:
            passing = isinstance(error, NoAnswer) and error.cause != LOST
            if not self._at_work.may_be_lost or passing:
                raise
            self.report(f"{error}; going on without it")
            self._at_work.close()
            self._at_work = self._open_other()
            self.name, self.batch, self.remote = self._at_work.name, self._at_work.batch, self._at_work.remote
            self.report(f"{self.name} has taken over")
        return ask(self._at_work)

    def _close(self) -> None:
        self._at_work.close()
