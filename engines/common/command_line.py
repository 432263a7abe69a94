"""What every command line of ours shares: bad usage in one line, and the exit codes."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from engines.common.errors import BadInput, Failed
from engines.common.log import log
from engines.common.printable import printable, show_any_text

UNREAD_S = 0.1  # that standard error may take to be writable again


class Parser(argparse.ArgumentParser):
    """Reports bad usage as every other bad input."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("a valid command line", message, f"see {self.prog} --help")


def run_guarded(command: Callable[[], None]) -> int:
    """Run a command and give its exit code: 0 done, 1 failed, 2 bad usage or bad input.

    The last two print one line on standard error. Ctrl-C is a user's way to end a command, not a failure.
    """
    hold_standard_descriptors()
    show_any_text()
    show_log()
    try:
        command()
    except BrokenPipeError:
        raise
    except BadInput as error:
        return _fail(2, "error", error)
    except (Failed, OSError) as error:
        return _fail(1, "failed", error)
    except KeyboardInterrupt:
        return 0
    return 0


def hold_standard_descriptors() -> None:
    """Open the null device where standard input, output or error is closed: else a file or socket would get its number,
    and whatever is printed. `sys.stdin`, `sys.stdout` and `sys.stderr` stay None there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def run_command(parser: Parser, arguments: Sequence[str] | None, check: Callable[[], None] = lambda: None) -> int:
    """Parse, `check`, then call what the chosen command has set as `run`; exit codes as of `run_guarded`."""

    def command() -> None:
        options = parser.parse_args(arguments)
        check()
        options.run(options)

    return run_guarded(command)


def _fail(code: int, kind: str, error: Exception) -> int:
    notify(f"manet-live: {kind}: {printable(' '.join(str(error).split()))}")
    return code


class _StandardError(logging.Handler):
    """Log records as lines for people; never waits for a reader."""

    def emit(self, record: logging.LogRecord) -> None:
        notify(f"manet-live: {printable(record.getMessage())}")


def show_log(level: int = logging.INFO) -> None:
    """Show what is logged from this level on, on standard error."""
    if not log.handlers:
        log.addHandler(_StandardError())
    log.setLevel(level)


def notify(line: str) -> None:
    """A line for people, on standard error; left out where nobody reads that, so that it never holds up anything."""
    data = memoryview(f"{line}\n".encode(errors="backslashreplace"))
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # it was closed, or is none of the system's
        if sys.stderr is not None:  # `print` would take standard output instead
            print(line, file=sys.stderr)
        return
    with contextlib.suppress(OSError):  # it is full, or broken
        while data and (os.name != "posix" or select.select([], [descriptor], [], UNREAD_S)[1]):
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
