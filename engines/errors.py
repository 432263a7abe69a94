"""The one error a user may cause and mend."""


class BadInput(Exception):  # noqa: N818 - the name says whose mistake it is
    """Bad usage or bad input: one line saying what was expected, what came and how to mend it.

    Command lines turn it into exit code 2; nothing else in the packages exits the process.
    """

    def __init__(self, expected: str, got: str, mend: str) -> None:
        super().__init__(f"expected {expected}, got {got}; {mend}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by message: the error crosses from the capture process to the analysis process."""
        return _rebuild, (str(self),)


def _rebuild(line: str) -> BadInput:
    error = BadInput.__new__(BadInput)
    Exception.__init__(error, line)
    return error
