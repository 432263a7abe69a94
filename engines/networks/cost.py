"""What a network is made of and what one input costs it, without memory for its weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from engines.networks.registry import build
from engines.specs.base import Spec


class Cost(NamedTuple):
    """Of a network as a spec has it."""

    parameters: int
    multiplications: int  # multiply-adds of convolutions, linear layers and attention for one input


def cost_of(spec: Spec) -> Cost:
    """Counted on tensors that have shapes alone."""
    with torch.device("meta"), torch.no_grad():
        network = build(spec).eval()
        inputs = [torch.empty(1, *shape, dtype=getattr(torch, spec.input_dtype)) for shape in spec.inputs.values()]
        with FlopCounterMode(display=False) as counter:
            network(*inputs)
    return Cost(sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2)
