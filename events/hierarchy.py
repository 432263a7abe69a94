"""Events of two levels: a body part, and which of its actions.

An event starts when its part is sure (reaches the part's `enter`) or when one of its actions is. While only the part is
known it has no action. It gets the first action of its part that is sure: at most once after it is confirmed, so that
names do not flicker; a provisional event whose action has fallen may still become another.
An event with an action goes on while its action is at or above `exit`, or, alone in its part, while the part is. Where
another action of the part becomes sure after its own has fallen, it ends where that fell, and the other is a new event.
No action counts for more than its part.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engines.taxonomy import ACTIONS, BODY_PARTS
from events.limits import PART_OF, of_part
from events.running import Running
from events.types import BoolArray, Float32Array, Prediction

PART_OF_ACTION = PART_OF[: len(ACTIONS)]


def joined(prediction: Prediction) -> Float32Array:
    """Probabilities by class: actions, none above its part, then parts; (59,) or (T, 59).

    Raises:
        ValueError: the prediction has none of body parts.
    """
    if prediction.parts is None:
        raise ValueError("expected a prediction with scores of body parts")
    actions = np.minimum(prediction.probs, prediction.parts[..., PART_OF_ACTION])
    return np.concatenate([actions, prediction.parts], axis=-1)


def renamed(
    running: Mapping[int, Running], probs: Float32Array, raised: BoolArray, staying: BoolArray
) -> list[tuple[int, int | None]]:
    """Which running events become another class now: (its class, the action that it is; None: it makes room and ends).

    Args:
        running: by class.
        probs: (59,) posteriors.
        raised, staying: (59,) at or above enter, at or above exit.
    """
    changes: list[tuple[int, int | None]] = []
    for part in range(len(BODY_PARTS)):
        sure = [at for at in np.flatnonzero(raised[: len(ACTIONS)] & (part == PART_OF_ACTION)) if at not in running]
        if not sure:
            continue
        likeliest = int(max(sure, key=lambda at: float(probs[at])))
        fallen = [key for key, event in running.items() if event.part == part and event.action and not staying[key]]
        open_ = [of_part(part)] if of_part(part) in running else [key for key in fallen if not running[key].confirmed]
        if open_:
            changes.append((open_[0], likeliest))
        else:
            changes += [(key, None) for key in fallen]
    return changes


def coupled(running: Mapping[int, Running], raised: BoolArray, staying: BoolArray) -> tuple[BoolArray, BoolArray]:
    """(59,) which classes may start now, and of which a running event goes on; arguments as for `renamed`."""
    starting, held = raised.copy(), staying.copy()
    for part in range(len(BODY_PARTS)):
        mine = [key for key, event in running.items() if event.part == part]
        whole = of_part(part)
        if mine or np.any(raised[: len(ACTIONS)] & (part == PART_OF_ACTION)):
            starting[whole] = False
        if staying[whole] and not any(staying[key] for key in mine if key != whole):
            held[mine] = True
    return starting, held
