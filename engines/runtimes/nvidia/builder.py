"""ONNX → plan. The precision is that of the ONNX file: the network is strongly typed, nothing is lowered behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from engines.card import ModelCard
from engines.common.errors import BadInput
from engines.runtimes.base import RuntimeFailed
from engines.runtimes.nvidia.library import Library, collecting_log

Step = Callable[[str, int, int], None]  # phase, steps done, steps in all


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input or output; -1 in the shape is the number of windows."""

    name: str
    dtype: str  # the library's name: UINT8, FLOAT
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A plan, what it takes and gives, and what the builder learnt about this GPU's kernels."""

    plan: bytes
    tensors: tuple[Tensor, ...]
    timing_cache: bytes  # empty where the library has none
    seconds: float


def build(
    library: Library,
    card: ModelCard,
    onnx: bytes,
    batch: int,
    timing_cache: bytes,
    step: Step,
    *,
    current: bool = False,
) -> Built:
    """Build a plan for 1 to `batch` windows, tuned for `batch`.

    Args:
        library: what builds it.
        card: what the network must look like.
        onnx: a bundle's model.onnx.
        batch: 1 or more.
        timing_cache: of an earlier build, or empty; one of another GPU or version is ignored.
        step: receives progress.
        current: of TensorRT-RTX: build for the GPU at hand alone.

    Raises:
        BadInput: the library is missing; the network is not of the card's precision.
        RuntimeFailed: the network cannot be read or built; one line with the library's reason.
    """
    started = time.perf_counter()
    trt = library.load()
    log = collecting_log(trt)
    builder = trt.Builder(log)
    # Where strong typing is the only kind (TensorRT 11), the flag is ignored.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        reason = parser.get_error(0).desc() if parser.num_errors else log.cause("no reason given")
        raise RuntimeFailed(
            f"{library.name} cannot read {card.name}: {' '.join(reason.split())[:250]}; older bundles "
            f"become readable by `python -m engines export`"
        )
    tensors = _check(trt, network, card, library.name)
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for name, shape in card.network.graph_inputs.items():
        profile.set_shape(name, (1, *shape), (batch, *shape), (batch, *shape))
    config.add_optimization_profile(profile)
    config.clear_flag(trt.BuilderFlag.TF32)  # rounds fp32 to 11 bits, which is fp16's business
    if current and library.portable:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    config.progress_monitor = _monitor(trt, step)
    timing = None
    if not library.portable:
        timing = config.create_timing_cache(timing_cache)
        if not config.set_timing_cache(timing, ignore_mismatch=False):
            timing = config.create_timing_cache(b"")
            config.set_timing_cache(timing, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeFailed(f"{library.name} cannot build {card.name}: {log.cause('no reason given')}")
    learnt = b"" if timing is None else bytes(config.get_timing_cache().serialize())
    return Built(bytes(plan), tensors, learnt, time.perf_counter() - started)


def _check(trt: Any, network: Any, card: ModelCard, name: str) -> tuple[Tensor, ...]:
    """The network's inputs and outputs, which must be those that the card promises."""
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    ends += [network.get_output(i) for i in range(network.num_outputs)]
    got = {end.name: Tensor(end.name, end.dtype.name, tuple(end.shape)) for end in ends}
    spec, dtype = card.network, {"uint8": "UINT8", "float32": "FLOAT"}[card.network.input_dtype]
    shapes = spec.graph_inputs | spec.graph_outputs
    dtypes = {name: dtype for name in spec.graph_inputs if name not in spec.states}
    want = {name: Tensor(name, dtypes.get(name, "FLOAT"), (-1, *shape)) for name, shape in shapes.items()}
    # The parser need not see that a width is constant, so a free one fits.
    fits = got.keys() == want.keys() and all(
        mine.dtype == got[key].dtype
        and len(mine.shape) == len(got[key].shape)
        and all(theirs in (-1, size) for size, theirs in zip(mine.shape, got[key].shape, strict=True))
        for key, mine in want.items()
    )
    if not fits:
        raise RuntimeFailed(
            f"{name} reads {list(got.values())}, the card of {card.name} promises {list(want.values())}"
        )
    precision = precision_of(trt, network)
    if precision != card.precision:
        raise BadInput(f"a network in {card.precision}, as its card says", precision, "make the bundle again")
    return tuple(want[key] for key in want)


def precision_of(trt: Any, network: Any) -> str:
    """int8 with quantising layers, fp16 with convolutions that give fp16, else fp32."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    if any(layer.type == trt.LayerType.QUANTIZE for layer in layers):
        return "int8"
    halves = [
        layer.get_output(0).dtype == trt.DataType.HALF for layer in layers if layer.type == trt.LayerType.CONVOLUTION
    ]
    return "fp16" if halves and all(halves) else "fp32"


def _monitor(trt: Any, step: Step) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the vendor's classes have no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._totals: dict[str, int] = {}

        def phase_start(self, phase_name: str, _parent: str | None, num_steps: int) -> None:
            self._totals[phase_name] = num_steps
            step(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, done: int) -> bool:
            step(phase_name, done + 1, self._totals[phase_name])
            return True

        def phase_finish(self, phase_name: str) -> None:
            total = self._totals.pop(phase_name)
            step(phase_name, total, total)

    return Monitor()
