"""The two ways a command may end badly: by its user's mistake, or because something broke while it ran."""

from __future__ import annotations

from collections.abc import Callable

from engines.common.printable import printable


class BadInput(Exception):
    """Bad usage or bad input: one line saying what was expected, what came and how to fix it.

    Command lines turn it into exit code 2; nothing else in the packages exits the process.
    """

    def __init__(self, expected: str, got: str, fix: str) -> None:
        super().__init__(printable(" ".join(f"expected {expected}, got {got}; {fix}".split())))

    @classmethod
    def from_line(cls, line: str) -> BadInput:
        """The same error from its line, as it arrives from the capture process."""
        error = cls.__new__(cls)
        Exception.__init__(error, line)
        return error

    def __reduce__(self) -> tuple[Callable[[str], BadInput], tuple[str]]:
        """From one process to another as its line."""
        return BadInput.from_line, (str(self),)


class Failed(Exception):
    """Something broke while it ran, and the user could not have known: one line saying what. Exit code 1."""
