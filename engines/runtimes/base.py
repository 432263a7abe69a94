"""One lifecycle for every runtime: activate, run, close. The base checks, the subclass computes."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.specs.base import Spec
from engines.specs.streaming import no_states

AnyArray = npt.NDArray[Any]
UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Inputs = Mapping[str, AnyArray]  # by the names in the spec's `inputs`, (N, ...) each
Outputs = dict[str, Float32Array]  # by the names in the spec's `outputs`, (N, ...) each
AnyRuntime = TypeVar("AnyRuntime", bound="Runtime")


class RuntimeFailed(Failed):
    """A runtime could not load the model or broke while computing; one line."""


class NoAnswer(RuntimeFailed):
    """No scores for these clips, for a reason that may pass; `cause` is what windows so skipped are counted by."""

    def __init__(self, line: str, cause: str) -> None:
        super().__init__(line)
        self.cause = cause


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of N clips by a micro-action model."""

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


class HostStates:
    """The states of one video in this computer's memory, twice: before the frame at hand and after it."""

    def __init__(self, network: Spec) -> None:
        self.before = no_states(network, 1)  # (1, ...) by name
        self.after = no_states(network, 1)
        self.runtime: dict[str, Any] = {}  # what a runtime keeps of them

    def clear(self) -> None:
        for array in self.before.values():
            array.fill(0.0)

    def swap(self) -> None:
        self.before, self.after = self.after, self.before


class Video:
    """What a network has seen of one video so far: a handle, `Runtime.predict` moves it on."""

    def __init__(self) -> None:
        self.frames = 0  # since the states were zeros
        self.carrier: object = None  # who made `memory`
        self.memory: Any = None

    def begin(self) -> None:
        """The next frame has nothing to do with those before."""
        self.frames = 0


class Runtime(ABC):
    """Runs one bundle. Use as a context manager (which activates it unless it is active), or `activate` and `close`.

    Args:
        bundle: a verified bundle.
        threads: CPU threads; 0 leaves the choice to the runtime.
    """

    name: str
    may_be_lost: ClassVar[bool] = False  # while it runs, through no fault of the model
    remote = False  # another machine computes
    modules: ClassVar[tuple[str, ...]]  # what must be importable
    distributions: ClassVar[tuple[str, ...]]  # names under which the runtime itself may be installed
    install: ClassVar[str]  # what to type where it is missing

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        if threads < 0:
            raise BadInput("0 or more threads", str(threads), "0 leaves the choice to the runtime")
        self.bundle = bundle
        self.threads = threads
        self.report: Callable[[str], None] = _silent  # receives what a person should know, one line each
        self.batch = 1  # clips that a call gains from, none of whose scores depend on the others
        self._active = False
        self._clip_videos: list[Video] = []  # that clips are shown by

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
        """Scores of N clips by a micro-action model; see `run`.

        Args:
            clips: uint8 (N, T, S, S, 3) RGB, C-contiguous, N of 1 or more.

        Raises:
            ValueError: another shape, dtype or layout, or another kind of model.
        """
        outputs = self.run({"clips": clips})
        return Scores(outputs["logits"], outputs.get("embedding"))

    def run(self, inputs: Inputs) -> Outputs:
        """Every output that the network's spec names.

        Args:
            inputs: every input that its spec names, of its dtype, C-contiguous, the same N of 1 or more.

        Raises:
            ValueError: other names, another shape, dtype or layout.
            RuntimeError: not active.
            RuntimeFailed: the runtime broke, or gave values that are not finite.
        """
        if not self._active:
            raise RuntimeError(f"{self.name}: run needs an active runtime; call activate or use `with`")
        count = self._check_inputs(inputs)
        if self.bundle.card.network.states:
            return self._clips(inputs["clips"])
        with self._named(f"{count} clips"):
            outputs = self._run(inputs)
        self._check_outputs(outputs, count)
        return outputs

    def predict(self, frames: UInt8Array, videos: Sequence[Video]) -> Outputs:
        """The next frame of N videos, of a network that carries states: scores of the last T frames of each.

        A video that another runtime has carried so far begins anew; see `Video.frames`.

        Args:
            frames: uint8 (N, S, S, 3) RGB, C-contiguous, N of 1 or more.
            videos: N different ones, whose states are moved on.

        Raises:
            ValueError: another shape, dtype or layout, or a network without states.
            RuntimeError: not active.
            RuntimeFailed: the runtime broke, or gave values that are not finite; the videos must begin anew.
        """
        network = self.bundle.card.network
        if not self._active:
            raise RuntimeError(f"{self.name}: predict needs an active runtime; call activate or use `with`")
        if not network.states:
            raise ValueError(f"{self.bundle.card.name}: expected a network that carries states")
        _check_array("frames", frames, "uint8", network.graph_inputs["frames"], len(videos))
        if len({id(video) for video in videos}) < len(videos):
            raise ValueError("expected every video once")
        with self._named(f"{len(videos)} frames"):
            for video in videos:
                if video.carrier is not self._carrier:
                    video.begin()
                    video.carrier, video.memory = self._carrier, self._memory()
            outputs = self._step(frames, [video.memory for video in videos], [not video.frames for video in videos])
        for video in videos:
            video.frames += 1
        self._check_outputs(outputs, len(videos))
        return outputs

    def _clips(self, clips: UInt8Array) -> Outputs:
        """Clips frame by frame, from empty states."""
        self._clip_videos += [Video() for _ in range(len(self._clip_videos), len(clips))]
        videos = self._clip_videos[: len(clips)]
        for video in videos:
            video.begin()
        for at in range(clips.shape[1]):
            outputs = self.predict(np.ascontiguousarray(clips[:, at]), videos)
        return outputs

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Vendors' errors in one line."""
        try:
            yield
        except (RuntimeFailed, BadInput):
            raise
        except Exception as error:
            raise RuntimeFailed(f"{self.name} broke on {what}: {first_line(error)}") from error

    def notice(self) -> str:
        """What has changed for people since the last call, one line; empty where nothing has."""
        return ""

    def close(self) -> None:
        """Free the model; harmless when it is not active. The runtime can be activated again."""
        if self._active:
            self._active = False
            self._close()

    def __enter__(self: AnyRuntime) -> AnyRuntime:
        if not self._active:  # `open_runtime` hands over active ones
            self.activate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_inputs(self, inputs: Inputs) -> int:
        want, dtype = self.bundle.card.network.inputs, self.bundle.card.network.input_dtype
        if inputs.keys() != want.keys():
            raise ValueError(f"inputs: expected {', '.join(want)}, got {', '.join(inputs)}")
        count = -1
        for name, array in inputs.items():
            _check_array(name, array, dtype, want[name], count)
            count = len(array)
        return count

    def _check_outputs(self, outputs: Outputs, count: int) -> None:
        for name, shape in self.bundle.card.network.outputs.items():
            if name not in outputs:
                raise RuntimeFailed(f"{self.name} gave no {name}, the card promises one")
            array, want = outputs[name], (count, *shape)
            if array.dtype != np.float32 or array.shape != want or not np.isfinite(array).all():
                raise RuntimeFailed(
                    f"{self.name} gave {name} {array.dtype} {array.shape}, expected finite float32 {want}"
                )

    @abstractmethod
    def _activate(self) -> None: ...

    @abstractmethod
    def _run(self, inputs: Inputs) -> Outputs: ...

    @property
    def _carrier(self) -> object:
        """What a video's states belong to."""
        return self

    def _memory(self) -> Any:
        """Room for the states of one video."""
        return HostStates(self.bundle.card.network)

    def _step(self, frames: UInt8Array, memories: Sequence[Any], first: Sequence[bool]) -> Outputs:
        """One frame of N videos.

        Args:
            frames: (N, S, S, 3).
            memories: N, as from `_memory`.
            first: whose states are to be zeros before the frame.
        """
        rows = []
        for frame, states, begins in zip(frames, memories, first, strict=True):
            if begins:
                states.clear()
            rows.append(self._step_one(frame, states))
            states.swap()
        return {name: np.stack([row[name] for row in rows]) for name in self.bundle.card.network.outputs}

    def _step_one(self, frame: UInt8Array, states: HostStates) -> Outputs:  # noqa: ARG002 - of runtimes that carry them
        """One frame (S, S, 3) → outputs (...), from `states.before` into `states.after`."""
        raise RuntimeFailed(f"{self.name} carries no states: choose another runtime, or a model of windows")

    @abstractmethod
    def _close(self) -> None: ...


def _check_array(name: str, array: AnyArray, dtype: str, shape: tuple[int, ...], count: int = -1) -> None:
    """Raises ValueError unless it is C-contiguous (count, *shape) of this dtype; -1: any count of 1 or more."""
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != dtype
        or array.shape[1:] != shape
        or len(array) < 1
        or count not in (-1, len(array))
        or not array.flags.c_contiguous
    ):
        got = f"{getattr(array, 'dtype', type(array).__name__)} {getattr(array, 'shape', '')}"
        number = "N >= 1" if count < 0 else str(count)
        raise ValueError(f"{name}: expected C-contiguous {dtype} ({number}, {', '.join(map(str, shape))}), got {got}")


def _silent(_: str) -> None:
    """Nobody asked."""


def first_line(error: BaseException) -> str:
    """An error in one line of bounded length, for people."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
