"""TensorRT and TensorRT-RTX: one Python API under two names, and the little in which they differ."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections import deque
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from engines.common.errors import BadInput
from engines.runtimes.nvidia.gpu import Gpu, NoGpu

# What TensorRT-RTX builds for ahead of time; for any other GPU on that GPU alone, and for it alone.
_LISTED = {(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)}
_OLDEST_PORTABLE = (8, 0)  # it can be told to build for 7.5, but has no fp32 matrix product there, which our heads need


@dataclass(frozen=True, slots=True)
class Library:
    """One of the two.

    `portable`: it builds without a GPU, the plan runs on any of its GPUs, and kernels are compiled where it runs. It
    needs no timing cache, captures CUDA graphs by itself, and keeps what it compiled in a runtime cache.
    """

    name: str
    module: str
    distributions: tuple[str, ...]  # the first that is installed counts
    install: str
    portable: bool

    @property
    def version(self) -> str:
        """Of the installed library. Imports nothing."""
        return self._installed()[1]

    def load(self) -> Any:
        """The vendor's module.

        Raises:
            BadInput: it is missing, cannot be loaded, or is too old.
        """
        if importlib.util.find_spec(self.module) is None:
            raise BadInput(f"the package {self.module}", "none installed", self.install)
        try:
            module = importlib.import_module(self.module)
        except (ImportError, OSError, RuntimeError) as error:  # the bare `tensorrt` package is a stub without libraries
            line = " ".join(str(error).split())[:200]
            raise BadInput(f"a package {self.module} that loads", line, self.install) from None
        if not hasattr(module, "NetworkDefinitionCreationFlag") or not hasattr(module.ICudaEngine, "num_io_tensors"):
            raise BadInput("TensorRT 10 or newer", str(getattr(module, "__version__", "unknown")), self.install)
        return module

    def check(self, gpu: Gpu) -> None:
        """Can the installed library use this GPU?

        Raises:
            NoGpu: the driver is older than the CUDA that the library was built for, or the GPU is too old.
        """
        if self.portable and gpu.capability < _OLDEST_PORTABLE:
            raise NoGpu(f"{gpu} is too old: {self.name} needs compute capability 8.0")
        built_for = re.search(r"-cu(\d+)$", self._installed()[0])
        if built_for and gpu.cuda[0] < int(built_for.group(1)):
            raise NoGpu(
                f"the driver of {gpu.name} runs {gpu.driver}, {self._installed()[0]} needs "
                f"CUDA {built_for.group(1)}: update the driver"
            )

    def target(self, gpu: Gpu | None) -> str:
        """What a plan made here runs on, as its side file says it.

        Raises:
            NoGpu: this library needs one to build on.
        """
        if self.portable and not self.builds_for(gpu):
            return "any GPU since compute capability 8.0"
        if gpu is None:
            raise NoGpu("no NVIDIA GPU")
        return str(gpu)

    def builds_for(self, gpu: Gpu | None) -> bool:
        """Is a plan made here for this GPU alone? So it is where TensorRT-RTX does not list its capability."""
        return not self.portable or (gpu is not None and gpu.capability not in _LISTED)

    def driver(self, gpu: Gpu | None) -> str:
        """The driver that a plan depends on."""
        return "any" if self.portable or gpu is None else gpu.driver

    def _installed(self) -> tuple[str, str]:
        for distribution in self.distributions:
            try:
                return distribution, metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
        return self.module, "unknown"


TENSORRT = Library(
    "tensorrt",
    "tensorrt",
    ("tensorrt-cu13", "tensorrt-cu12", "tensorrt"),
    'pip install "manet-live[tensorrt]"',
    portable=False,
)
TENSORRT_RTX = Library(
    "tensorrt-rtx",
    "tensorrt_rtx",
    ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx"),
    'pip install "manet-live[rtx]"',
    portable=True,
)
LIBRARIES = {library.name: library for library in (TENSORRT, TENSORRT_RTX)}


def collecting_log(module: Any) -> Any:
    """A logger for the vendor's objects that keeps the newest errors, so that a failure can name its cause.

    Its `cause(otherwise)` gives the first error since the last call, in one line, or `otherwise`.
    """

    class Log(module.ILogger):  # type: ignore[misc]  # the vendor's classes have no types
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=16)

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR):
                self._errors.append(" ".join(message.split()))

        def cause(self, otherwise: str) -> str:
            first = self._errors[0][:250] if self._errors else otherwise
            self._errors.clear()
            return first

    return Log()
