"""The command line of the live path (`realtime.cli`)."""

import signal

before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # imports take a second: Ctrl-C ends them without a traceback

import sys

from realtime.cli import main

signal.signal(signal.SIGINT, before)

if __name__ == "__main__":
    sys.exit(main())
