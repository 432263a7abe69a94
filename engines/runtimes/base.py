"""One lifecycle for every runtime: activate, infer, close. The base checks, the subclass computes."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import TracebackType
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.errors import BadInput, Failed
from engines.spec import EMBEDDING_SIZE, NUM_CLASSES

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
AnyRuntime = TypeVar("AnyRuntime", bound="Runtime")


class RuntimeFailed(Failed):
    """A runtime could not load the model or broke while computing; one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a runtime says of N clips."""

    logits: Float32Array  # (N, 52)
    embedding: Float32Array | None  # (N, 300), where the model has the head


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a runtime can be used here: a version, or the reason why not."""

    version: str | None
    reason: str | None = None

    def __bool__(self) -> bool:
        return self.version is not None

    def __str__(self) -> str:
        return self.version or self.reason or ""


class Runtime(ABC):
    """Runs one bundle. Use as a context manager (which activates it unless it is active), or `activate` and `close`.

    Args:
        bundle: a verified bundle.
        threads: CPU threads; 0 leaves the choice to the runtime.
    """

    name: str
    on_gpu: ClassVar[bool] = False  # it may be lost while it runs, through no fault of the model
    modules: ClassVar[tuple[str, ...]]  # what must be importable
    distributions: ClassVar[tuple[str, ...]]  # names under which the runtime itself may be installed
    install: ClassVar[str]  # what to type where it is missing

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        if threads < 0:
            raise BadInput("0 or more threads", str(threads), "0 leaves the choice to the runtime")
        self.bundle = bundle
        self.threads = threads
        self.report: Callable[[str], None] = _silent  # receives what a person should know, one line each
        self._active = False

    @classmethod
    def availability(cls) -> Availability:
        """Looks for the modules without importing them."""
        missing = [module for module in cls.modules if importlib.util.find_spec(module) is None]
        if missing:
            return Availability(None, f"{' and '.join(missing)} not installed; {cls.install}")
        for distribution in cls.distributions:
            try:
                return Availability(metadata.version(distribution))
            except metadata.PackageNotFoundError:
                continue
        return Availability("unknown version")

    def activate(self) -> None:
        """Load the model. Raises RuntimeFailed if the runtime cannot, RuntimeError if it is already active."""
        if self._active:
            raise RuntimeError(f"{self.name}: activate called twice; close it first")
        try:
            self._activate()
        except BadInput:
            raise
        except Exception as error:  # vendors share no base class
            raise RuntimeFailed(f"{self.name} cannot load {self.bundle.card.name}: {first_line(error)}") from error
        self._active = True

    def infer(self, clips: UInt8Array) -> Scores:
        """Scores of N clips.

        Args:
            clips: uint8 (N, T, S, S, 3) RGB, C-contiguous, N of 1 or more.

        Raises:
            ValueError: another shape, dtype or layout.
            RuntimeError: not active.
            RuntimeFailed: the runtime broke, or gave values that are not finite.
        """
        if not self._active:
            raise RuntimeError(f"{self.name}: infer needs an active runtime; call activate or use `with`")
        want = self.bundle.card.network.clip_shape
        if (not isinstance(clips, np.ndarray) or clips.dtype != np.uint8 or clips.shape[1:] != want
                or len(clips) < 1 or not clips.flags.c_contiguous):
            got = f"{getattr(clips, 'dtype', type(clips).__name__)} {getattr(clips, 'shape', '')}"
            raise ValueError(f"clips: expected C-contiguous uint8 (N >= 1, {', '.join(map(str, want))}), got {got}")
        try:
            scores = self._infer(clips)
        except RuntimeFailed:
            raise
        except Exception as error:
            raise RuntimeFailed(f"{self.name} broke on {len(clips)} clips: {first_line(error)}") from error
        self._check_scores(scores, len(clips))
        return scores

    def close(self) -> None:
        """Free the model; harmless when it is not active. The runtime can be activated again."""
        if self._active:
            self._active = False
            self._close()

    def __enter__(self: AnyRuntime) -> AnyRuntime:
        if not self._active:  # `open_runtime` hands over active ones
            self.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _check_scores(self, scores: Scores, count: int) -> None:
        outputs = {"logits": (scores.logits, (count, NUM_CLASSES))}
        if scores.embedding is not None:
            outputs["embedding"] = (scores.embedding, (count, EMBEDDING_SIZE))
        elif self.bundle.card.network.embedding:
            raise RuntimeFailed(f"{self.name} gave no embedding, the card promises one")
        for name, (array, shape) in outputs.items():
            if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
                raise RuntimeFailed(f"{self.name} gave {name} {array.dtype} {array.shape}, "
                                    f"expected finite float32 {shape}")

    @abstractmethod
    def _activate(self) -> None: ...

    @abstractmethod
    def _infer(self, clips: UInt8Array) -> Scores: ...

    @abstractmethod
    def _close(self) -> None: ...


def _silent(_: str) -> None:
    """Nobody asked."""


def first_line(error: BaseException) -> str:
    """An error in one line of bounded length, for people."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
