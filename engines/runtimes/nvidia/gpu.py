"""Which NVIDIA GPU is here, asked of its driver alone: no toolkit and no vendor's Python package is needed."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
# CUDA driver API: cudaError_enum, CUdevice_attribute
_NO_DEVICE, _OLD_DRIVER, _DRIVER_MISMATCH = 100, 35, 803
_MAJOR, _MINOR = 75, 76
_CAUSES = {
    _NO_DEVICE: "the driver finds no GPU",
    _OLD_DRIVER: "the driver is too old",
    _DRIVER_MISMATCH: "the driver's library and its kernel module are of different versions",
}


class NoGpu(Exception):
    """There is no GPU that can be used; one line says why."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU that this process may use."""

    name: str
    capability: tuple[int, int]  # compute capability: (8, 9)
    cuda: tuple[int, int]  # newest CUDA that the driver runs: (13, 0)

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.capability[0]}.{self.capability[1]})"

    @property
    def driver(self) -> str:
        """The driver, by the CUDA that it brings."""
        return f"CUDA {self.cuda[0]}.{self.cuda[1]}"


def find_gpu() -> Gpu:
    """Ask the driver.

    Raises:
        NoGpu: no driver, or none that works, or no GPU.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise NoGpu(f"no NVIDIA driver ({_LIBRARY} cannot be loaded)") from None
    version, device = ctypes.c_int(), ctypes.c_int()
    _ask(library.cuInit, 0)
    _ask(library.cuDriverGetVersion, ctypes.byref(version))
    _ask(library.cuDeviceGet, ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(256)
    _ask(library.cuDeviceGetName, name, len(name), device)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        _ask(library.cuDeviceGetAttribute, ctypes.byref(value), attribute, device)
        capability.append(value.value)
    # 13020 is CUDA 13.2.
    return Gpu(
        name.value.decode(errors="replace"),
        (capability[0], capability[1]),
        (version.value // 1000, version.value % 1000 // 10),
    )


def _ask(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    status = function(*arguments)
    if status:
        raise NoGpu(_CAUSES.get(status, f"{function.__name__} of the NVIDIA driver failed with {status}"))
