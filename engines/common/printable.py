"""Names as they come from the system, as text that can be shown and written: they may be any bytes."""

from __future__ import annotations

import io
import re
import sys

# Bytes that are no UTF-8 come as lone surrogates (PEP 383); control characters would act on the terminal.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """With every byte that is no text, and every control character, as its escape: `caf\\xe9.mp4`."""
    return _UNPRINTABLE.sub(_escape, text)


def show_any_text() -> None:
    """What standard output and error cannot encode, they show as an escape: no name ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_text(text: str) -> bool:
    """Whether it came as UTF-8, and so can be written as such."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # the byte
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
