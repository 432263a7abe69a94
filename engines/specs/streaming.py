"""Networks that take frame by frame, and how one sees a whole clip through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.specs.base import Spec, next_state

AnyArray = npt.NDArray[Any]
Arrays = Mapping[str, AnyArray]


def no_states(spec: Spec, count: int) -> dict[str, AnyArray]:
    """The states of `count` videos before their first frame, (count, ...) each."""
    return {name: np.zeros((count, *shape), np.float32) for name, shape in spec.states.items()}


def frame_by_frame(spec: Spec, run: Callable[[Arrays], Arrays], inputs: Arrays) -> Arrays:
    """What the graph gives of the last frames of N clips.

    Args:
        run: the exported graph, from `spec.graph_inputs` to `spec.graph_outputs`.
        inputs: clips (N, T, S, S, 3), as in `spec.inputs`.
    """
    clips = inputs["clips"]
    states, found = no_states(spec, len(clips)), dict[str, AnyArray]()
    for at in range(clips.shape[1]):
        found = dict(run({"frames": np.ascontiguousarray(clips[:, at]), **states}))
        states = {name: found[next_state(name)] for name in states}
    return found
