"""Our best CPU engine against ONNX Runtime in fp32, MANet-R50."""

from benchmarks.best_engine import against
from benchmarks.harness import Result


def run() -> Result:
    """One window, medians of one run."""
    return against("onnxruntime")
