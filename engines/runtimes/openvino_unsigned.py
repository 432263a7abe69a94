"""Signed int8 activations that are never negative, to unsigned ones: x86 multiplies unsigned by signed bytes.

A bundle's INT8 file is signed and symmetric throughout, because TensorRT reads no other. Behind a ReLU half of those
codes stand for nothing, and the CPU's instruction (VPDPBUSD) needs a correction for the sign at every layer. The same
scale with codes 0..255 gives the same numbers, and does not clip where the signed ones would.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SIGNED, UNSIGNED = 127.0, 255.0
NEVER_NEGATIVE = ("Relu", "Sigmoid")
# Not negative where all of their data inputs are not; the rest of their inputs are shapes, axes and zero points.
FIRST_INPUT = (
    "MaxPool",
    "ReduceMean",
    "Split",
    "VariadicSplit",
    "Slice",
    "StridedSlice",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Transpose",
    "Pad",
    "Convert",
    "Subtract",
    "FakeQuantize",
)
ALL_INPUTS = ("Multiply", "Add", "Concat")


def use_unsigned(model: Any) -> int:
    """Rewrite an `openvino.Model` in place; how many activations became unsigned.

    `Subtract` occurs between activations only with the zero points of symmetric Q/DQ pairs, which are 0.
    """
    import openvino
    from openvino import opset13

    def constant(value: float) -> Any:
        return opset13.constant(np.float32(value))

    known: dict[str, bool] = {}  # by name: is it never negative?
    changed = 0
    for node in model.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        sources = [node.input_value(index).get_node() for index in range(node.get_input_size())]
        flags = [known.get(source.get_friendly_name(), False) for source in sources]
        if kind == "Constant":
            known[name] = node.get_element_type() == openvino.Type.f32 and bool((node.data >= 0).all())
        else:
            known[name] = (
                kind in NEVER_NEGATIVE or (kind in FIRST_INPUT and flags[0]) or (kind in ALL_INPUTS and all(flags))
            )
        readers = [reader.get_node() for reader in node.output(0).get_target_inputs()] if kind == "FakeQuantize" else []
        if not known[name] or len(readers) != 1 or readers[0].get_element_type() != openvino.Type.i8:
            continue
        scale = float(sources[2].data.reshape(-1)[0]) / SIGNED
        codes = opset13.fake_quantize(
            node.input_value(0), constant(0.0), constant(UNSIGNED * scale), constant(0.0), constant(UNSIGNED), 256
        )
        unsigned = opset13.convert(codes, "u8")
        readers[0].output(0).replace(unsigned.output(0))
        known[unsigned.get_friendly_name()] = True
        changed += 1
    model.validate_nodes_and_infer_types()
    return changed
