"""Plans in a bundle's `engines/` folder: written with a side file, read only where everything in it still fits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes.nvidia.builder import Step, Tensor, build
from engines.runtimes.nvidia.gpu import Gpu
from engines.runtimes.nvidia.library import Library

MAX_BATCH = 64
MAX_SIDE_BYTES = 1 << 16


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a plan was made from and for: its side file."""

    onnx_sha256: str
    runtime: str
    runtime_version: str
    device: str
    driver: str
    precision: str
    batch: int
    tensors: tuple[Tensor, ...]
    plan_sha256: str
    built_at: str  # UTC
    build_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that fits the bundle, the library and the GPU."""

    data: bytes
    record: Record


class PlanMismatch(BadInput):
    """There is no plan, or it was made from or for something else; `batch` is that of the one there, or 1."""

    batch = 1


def plan_path(bundle: Bundle, library: Library) -> Path:
    """Where the plan is; its side file ends in .json instead."""
    return bundle.engines_path / f"{library.name}.plan"


def runtime_cache_path(bundle: Bundle, library: Library) -> Path:
    """Where kernels are kept that were compiled while running."""
    return bundle.engines_path / f"{library.name}.kernels"


def read_plan(bundle: Bundle, library: Library, gpu: Gpu | None, batch: int | None = None) -> Plan:
    """The plan of this bundle for this library and GPU.

    Args:
        batch: windows that it must have been built for; None: any number.

    Raises:
        PlanMismatch: there is none, or something has changed since; the line names the first such thing.
        NoGpu: the library's plans depend on a GPU and there is none.
    """
    path = plan_path(bundle, library)
    fix = f"run python -m engines build {bundle.card.name} --runtime {library.name}"
    try:
        with path.with_suffix(".json").open("rb") as stream:
            record = msgspec.json.decode(stream.read(MAX_SIDE_BYTES), type=Record)
        data = path.read_bytes()
    except FileNotFoundError:
        raise PlanMismatch(f"a {library.name} plan of {bundle.card.name}", "none", fix) from None
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise PlanMismatch("a readable plan and side file", f"{path.name} ({type(error).__name__})", fix) from None
    wanted = {
        "the ONNX file": (_digest(bundle.onnx_path.read_bytes()), record.onnx_sha256),
        "the runtime": (library.name, record.runtime),
        f"{library.name}": (library.version, record.runtime_version),
        "the GPU": (library.target(gpu), record.device),
        "the driver": (library.driver(gpu), record.driver),
        "the precision": (bundle.card.precision, record.precision),
        "the batch": (batch or record.batch, record.batch),
        "the plan's own bytes": (record.plan_sha256, _digest(data)),
    }
    for what, (now, then) in wanted.items():
        if now != then:
            mismatch = PlanMismatch(f"a plan for {what} {_short(now)}", f"one for {_short(then)}", fix)
            mismatch.batch = record.batch if 1 <= record.batch <= MAX_BATCH else 1
            raise mismatch
    return Plan(data, record)


def make_plan(
    bundle: Bundle, library: Library, gpu: Gpu | None, batch: int, step: Step, report: Callable[[str], None]
) -> Plan:
    """Build a plan and keep it in the bundle's cache; a folder that cannot be written is reported, the plan given.

    Raises:
        BadInput: see `builder.build`.
        NoGpu: the library needs one.
        RuntimeFailed: the network cannot be built.
    """
    target = library.target(gpu)
    onnx = bundle.onnx_path.read_bytes()
    timing = plan_path(bundle, library).with_suffix(".timing")
    known = timing.read_bytes() if timing.is_file() and not library.portable else b""
    built = build(library, bundle.card, onnx, batch, known, step, current=library.builds_for(gpu))
    record = Record(
        onnx_sha256=_digest(onnx),
        runtime=library.name,
        runtime_version=library.version,
        device=target,
        driver=library.driver(gpu),
        precision=bundle.card.precision,
        batch=batch,
        tensors=built.tensors,
        plan_sha256=_digest(built.plan),
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=round(built.seconds, 2),
    )
    try:
        _keep(plan_path(bundle, library), built.plan, record)
        if built.timing_cache:
            replace_file(timing, built.timing_cache)
    except OSError as error:
        report(
            f"{library.name}: the plan cannot be kept in {bundle.engines_path} ({error.strerror}); "
            "it is built again next time"
        )
    return Plan(built.plan, record)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file all or nothing; its folder is made."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _keep(path: Path, plan: bytes, record: Record) -> None:
    """The side file names the plan's digest, so that any mixture of an old and a new file is refused."""
    replace_file(path, plan)
    replace_file(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and " " not in text else text
