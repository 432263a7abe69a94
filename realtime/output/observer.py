"""What may watch a session: the base of every output, and of what a program that embeds a session brings itself."""

from __future__ import annotations

from collections.abc import Mapping

from realtime.output.lines import ActionLine, EmotionLine, Line, Posteriors


class OutputLost(Exception):
    """An observer cannot go on; one line says why. The others do."""


class ReaderLeft(OutputLost):
    """Whoever read the output has closed it: that is an end, not a failure."""


class Observer:
    """Receives all that a session reports, line by line and in order, in a thread of its own, so that it may block.

    Lines wait for it in a bounded queue; what finds no room is lost and counted. An exception ends this observer, not
    the session.

    Attributes:
        name: for people, and the key in `lines_lost`.
        whole: it holds all lines up to some moment, without a hole: one that does not keep up stops.
        lost: lines that it could not pass on.
        wants_posteriors: `on_posteriors` is called, too.
    """

    name: str = "an observer"
    whole: bool = False
    lost: int = 0
    wants_posteriors: bool = False

    def on_line(self, line: Line) -> None:
        """Take any line. Raises OutputLost: nothing more can be written here."""
        if isinstance(line, ActionLine):
            self.on_action(line)
        elif isinstance(line, EmotionLine):
            self.on_emotion(line)

    def on_action(self, event: ActionLine) -> None:
        """A micro-action began, was confirmed, ended or was retracted."""

    def on_emotion(self, estimate: EmotionLine) -> None:
        """The estimate of the emotions that the expression shows."""

    def on_posteriors(self, posteriors: Posteriors) -> None:
        """The posteriors of the next moment, before the lines that follow from them."""

    def start(self, session: Mapping[str, object]) -> None:
        """Everything else is open. Called in the session's thread.

        Args:
            session: what is known of it beforehand: sources, configuration, model cards.

        Raises:
            BadInput: it cannot be had.
        """

    def begin(self) -> None:
        """The first picture has come. Called in the session's thread."""

    def close(self) -> None:
        """No more lines will come."""

    @property
    def refused(self) -> dict[str, int]:
        """Connections that did not get in, by cause."""
        return {}
