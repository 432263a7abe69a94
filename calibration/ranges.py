"""How far a network's activations reach on real windows: the magnitudes that INT8's 127 stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from engines.bundle import UInt8Array
from engines.specs.base import next_state

Method = Literal["minmax", "percentile", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)

PERCENTILE = 99.99  # of the magnitudes: one value in ten thousand is clipped
BINS = 1024  # of a histogram of magnitudes
SAMPLES = 50_000  # of a tensor and window, for histograms; the largest magnitude is of all values
CODES = 255  # -127..127

FloatArray = npt.NDArray[np.float64]
Report = Callable[[], None]


def measure_ranges(
    graph: bytes,
    tensors: Sequence[str],
    inputs: Mapping[str, UInt8Array],
    method: Method,
    report: Report = lambda: None,
) -> dict[str, float]:
    """By tensor of an fp32 graph, the magnitude to quantise up to.

    Args:
        graph: ONNX file.
        tensors: names of float tensors in it.
        inputs: by name, uint8 (N, ...), N windows like those that it will see.
        method: minmax takes the largest; percentile clips the outermost 0.01 %; entropy loses least information, by
            Kullback-Leibler divergence (Migacz, "8-bit inference with TensorRT", 2017, as ONNX Runtime has it).
        report: called after each window.
    """
    session = _observing(graph, tensors)
    largest = np.zeros(len(tensors))
    windows = [
        {name: values[at : at + 1] for name, values in inputs.items()} for at in range(len(next(iter(inputs.values()))))
    ]
    for window in windows:
        for values in _values(session, tensors, window):
            largest = np.maximum(largest, [float(np.abs(value).max()) for value in values])
        report()
    if method == "minmax":
        return dict(zip(tensors, largest.tolist(), strict=True))
    counts = np.zeros((len(tensors), BINS))
    for window in windows:
        for values in _values(session, tensors, window):
            for index, value in enumerate(values):
                some = np.abs(value.ravel()[:: max(1, value.size // SAMPLES)])
                counts[index] += np.histogram(some, BINS, (0.0, max(largest[index], 1e-12)))[0]
        report()
    choose = _percentile if method == "percentile" else _entropy
    return {name: choose(counts[index], largest[index]) for index, name in enumerate(tensors)}


def passes(method: Method) -> int:
    """How many times `measure_ranges` goes over the windows."""
    return 1 if method == "minmax" else 2


def _observing(graph: bytes, tensors: Sequence[str]) -> Any:
    import onnxruntime

    model = onnx.load_from_string(graph)
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _values(session: Any, tensors: Sequence[str], window: Mapping[str, UInt8Array]) -> Iterator[list[FloatArray]]:
    """The tensors of a window; of a graph with states, those of each of its frames."""
    outputs = {output.name for output in session.get_outputs()}
    states = {
        given.name: np.zeros((1, *given.shape[1:]), np.float32)
        for given in session.get_inputs()
        if next_state(given.name) in outputs
    }
    if not states:
        yield session.run(list(tensors), window)
        return
    after = [next_state(name) for name in states]
    for frame in window["clips"].swapaxes(0, 1):
        values = session.run([*tensors, *after], {"frames": np.ascontiguousarray(frame), **states})
        states = dict(zip(states, values[len(tensors) :], strict=True))
        yield values[: len(tensors)]


def _percentile(counts: FloatArray, largest: float) -> float:
    """Upper edge of the bin that reaches `PERCENTILE`."""
    share = np.cumsum(counts) / counts.sum()
    return float(largest * (np.searchsorted(share, PERCENTILE / 100.0) + 1) / BINS)


def _entropy(counts: FloatArray, largest: float) -> float:
    from onnxruntime.quantization.calibrate import HistogramCollector

    if largest <= 0.0:
        return 0.0
    collector = HistogramCollector("entropy", True, 2 * BINS, CODES, PERCENTILE, "same")
    mirrored = np.concatenate((counts[::-1], counts))
    edges = np.linspace(-largest, largest, 2 * BINS + 1, dtype=np.float32)
    low, high = collector.get_entropy_threshold((mirrored, edges, -largest, largest, largest), CODES)[:2]
    return float(max(abs(float(low)), abs(float(high))))
