"""Counts by cause that one thread writes and others read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping


class Counts(Mapping[str, int]):
    """How often, by cause; 0 for a cause that never came.

    Every change makes a new dictionary, so that whoever reads or iterates meanwhile sees one state and never a
    dictionary that changes under it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, cause: str, count: int = 1) -> None:
        """From any thread."""
        with self._lock:
            self._counts = {**self._counts, cause: self._counts.get(cause, 0) + count}

    def add_all(self, counts: Mapping[str, int]) -> None:
        """From any thread; readers see all of it or none."""
        with self._lock:
            self._counts = {
                cause: self._counts.get(cause, 0) + counts.get(cause, 0) for cause in (*self._counts, *counts)
            }

    def __getitem__(self, cause: str) -> int:
        return self._counts.get(cause, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, cause: object) -> bool:
        return cause in self._counts

    def __repr__(self) -> str:
        return f"Counts({self._counts})"
