"""What `python -m engines build` does: check what was asked, build unless the plan there still fits, and say so."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.runtimes.nvidia.gpu import Gpu, NoGpu, find_gpu
from engines.runtimes.nvidia.library import LIBRARIES, TENSORRT, TENSORRT_RTX, Library
from engines.runtimes.nvidia.plans import MAX_BATCH, Plan, PlanMismatch, make_plan, plan_path, read_plan


def build_plan(bundle: Bundle, runtime: str | None, precision: str | None, batch: int) -> str:
    """Build, or find that nothing changed. Progress and remarks go to standard error.

    Args:
        runtime: a name of `LIBRARIES`; None: TensorRT where it and a GPU are, else TensorRT-RTX.
        precision: what the bundle must be; None: whatever it is.
        batch: most windows at once, 1 to `MAX_BATCH`.

    Returns:
        One line: the plan's file and what it is.

    Raises:
        BadInput: precision or batch cannot be had, the library is missing, or it needs a GPU or a newer driver.
        RuntimeFailed: the network cannot be built.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise BadInput(f"a batch of 1 to {MAX_BATCH} windows", str(batch), "give another --batch")
    card = bundle.card
    if precision not in (None, card.precision):
        fix = {
            "fp32": "give the fp32 bundle",
            "fp16": f"make one with python -m engines export {card.name} --precision fp16 --out DIR",
            "int8": f"make one with python -m calibration quantize {card.name}",
        }[precision or "fp32"]
        raise BadInput(f"an {precision} bundle", f"{card.name}, which is {card.precision}", fix)
    gpu = _gpu_or_none()
    library = LIBRARIES[runtime] if runtime else _default(gpu)
    library.load()
    try:
        if gpu is None and not library.portable:
            find_gpu()  # says why there is none
        if gpu is not None:
            library.check(gpu)
    except NoGpu as error:
        fix = (
            "to build for another computer, hide this GPU with CUDA_VISIBLE_DEVICES="
            if library.portable
            else f"build where it will run, or with --runtime {TENSORRT_RTX.name}, which needs no GPU"
        )
        raise BadInput(f"a GPU and a driver that {library.name} can use", str(error), fix) from None
    try:
        plan, outcome = read_plan(bundle, library, gpu, batch), "still fits"
    except PlanMismatch as mismatch:
        if plan_path(bundle, library).exists():
            _remark(str(mismatch).rpartition("; ")[0] + "; building again")
        plan = _with_progress(bundle, library, gpu, batch)
        outcome = f"built in {plan.record.build_s:.1f} s"
    record = plan.record
    return (
        f"{plan_path(bundle, library)}: {card.name}, {record.precision}, 1 to {record.batch} windows, for "
        f"{record.device}, {len(plan.data) / 1e6:.1f} MB, {outcome}"
    )


def _default(gpu: Gpu | None) -> Library:
    if gpu is None:
        return TENSORRT_RTX
    try:
        TENSORRT.load()
    except BadInput:
        return TENSORRT_RTX
    return TENSORRT


def _gpu_or_none() -> Gpu | None:
    try:
        return find_gpu()
    except NoGpu:
        return None


def _with_progress(bundle: Bundle, library: Library, gpu: Gpu | None, batch: int) -> Plan:
    """A bar for each of the builder's nested phases, gone when it is over."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def step(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total)
            progress.update(tasks[phase], completed=done, total=total)
            if done >= total:
                progress.remove_task(tasks.pop(phase))

        return make_plan(bundle, library, gpu, batch, step, _remark)


def _remark(line: str) -> None:
    print(f"manet-live: {line}", file=sys.stderr, flush=True)
