"""Operators that torch's exporter translates wrongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset20 as op


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Any:
    """A convolution over time and space. Where it has no bias, onnxscript 0.7 gives it one of two dimensions."""
    given = (input, weight) if bias is None else (input, weight, bias)
    strides, pads, dilations = list(stride), [*padding, *padding], list(dilation)
    return op.Conv(*given, strides=strides, pads=pads, dilations=dilations, group=groups)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.aten.conv3d.default: conv3d}
