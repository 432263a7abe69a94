"""The logits that two nets would give of a simulated face, from its action units.

A net's logit of an emotion grows with how much of the emotion's action units show and falls with others that do, so
that it confuses what real nets confuse: fear with surprise, which share four units, weak expressions with none, an open
mouth with surprise, and a speaking one with whatever they take this face's speech for. Each face has a bias of its own
in each net, as faces at rest have, and both waver.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.expressions import EXPRESSIONS, LOGITS
from engines.taxonomy import EMOTIONS
from simulation.action_units import PROTOTYPES, UNITS
from simulation.controls import Controls
from simulation.geometry import Array

Float32Array = npt.NDArray[np.float32]

# By net (face-api, fer), logits. A strong expression beats neutral by 5 to 6 in face-api and by 3 in fer, as posed
# ones do; biases and wavering make either confuse simulated faces about as often as real ones (UAR .72 and .64).
GAIN, LEAST = np.array([12.0, 8.0]), np.array([4.0, 3.0])
OPEN_MOUTH = np.array([1.5, 1.0])  # surprise
SPEECH = np.array([1.5, 1.0])  # standard deviation of what a face's speech adds to each expression but neutral
SPEAKING_S = 0.6  # a mouth that was open within as long speaks
BIAS, WAVER = np.array([1.3, 1.3]), np.array([1.2, 1.2])  # standard deviations
WAVER_S = 0.7  # time constant
FOREIGN = 0.5  # what a unit of another emotion takes off, of what an own one gives


def expression_logits(rng: np.random.Generator, controls: Controls, fps: float) -> Float32Array:
    """(T, LOGITS) of a face that is seen all the time."""
    count = controls.count
    strength = np.zeros((count, len(UNITS))) if controls.expression is None else controls.expression.mean(axis=1)
    own = PROTOTYPES.astype(float)
    match = (strength @ own.T - FOREIGN * strength @ (1.0 - own).T) / own.sum(axis=1)  # (T, 5)
    logits = np.zeros((count, 2, len(EXPRESSIONS)))
    logits[:, :, 1:] = -LEAST[:, None]
    places = [EXPRESSIONS.index(name) for name in EMOTIONS]
    logits[:, :, places] += GAIN[:, None] * match[:, None]
    mouth = np.clip(controls.channel("mouth_open"), 0.0, 1.0)
    logits[:, :, EXPRESSIONS.index("surprise")] += OPEN_MOUTH * mouth[:, None]
    width = max(1, round(SPEAKING_S * fps))  # SciPy is none of what the program needs
    around = np.pad(mouth, (width // 2, width - 1 - width // 2), mode="symmetric")
    speaking = np.clip(2.5 * np.lib.stride_tricks.sliding_window_view(around, width).max(axis=-1), 0.0, 1.0)
    added = SPEECH[:, None] * rng.normal(size=(2, len(EXPRESSIONS) - 1))
    logits[:, :, 1:] += speaking[:, None, None] * added
    logits += BIAS[:, None] * rng.normal(size=(2, len(EXPRESSIONS)))
    logits += WAVER[:, None] * _wavering(rng, (count, 2, len(EXPRESSIONS)), fps)
    return logits.reshape(count, LOGITS).astype(np.float32)


def _wavering(rng: np.random.Generator, shape: tuple[int, ...], fps: float) -> Array:
    """Noise of unit variance that keeps `1 / e` of itself over `WAVER_S`, along the first axis."""
    kept = np.exp(-1.0 / (WAVER_S * fps))
    steps = rng.normal(size=shape) * np.sqrt(1.0 - kept * kept)
    steps[0] = rng.normal(size=shape[1:])
    for at in range(1, shape[0]):
        steps[at] += kept * steps[at - 1]
    return np.asarray(steps)
