"""How long each action lasts and how often it occurs, from the MMA-52 annotation lists (untrimmed videos).

Counts are intervals in those lists; durations are the 10, 25, 50, 75 and 90 % quantiles in seconds.
"""

from __future__ import annotations

import numpy as np

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LONGEST_S = 14.0
# index: (count, p10, p25, p50, p75, p90)
INTERVALS: dict[int, tuple[float, float, float, float, float, float]] = {
    0: (540, 1.93, 2.7, 4.14, 6.3, 9.6),  # shaking body
    1: (249, 0.9, 1.23, 1.83, 2.93, 5.32),  # sitting straightly
    2: (134, 1.0, 1.23, 1.8, 2.5, 3.44),  # shrugging
    3: (2, 1.46, 1.71, 2.12, 2.52, 2.77),  # turning around
    4: (113, 1.34, 1.97, 3.33, 5.4, 7.05),  # rising up
    5: (536, 0.63, 0.87, 1.37, 2.47, 4.0),  # bowing head
    6: (321, 0.7, 1.07, 1.77, 3.0, 4.2),  # head up
    7: (1175, 0.87, 1.3, 1.97, 3.5, 6.0),  # tilting head
    8: (2673, 0.8, 1.28, 2.1, 3.93, 6.3),  # turning head
    9: (1880, 0.8, 1.14, 1.72, 2.63, 4.23),  # nodding
    10: (828, 0.8, 1.09, 1.59, 2.4, 3.6),  # shaking head
    11: (367, 1.41, 3.1, 5.5, 9.35, 12.24),  # scratching arms
    12: (470, 1.17, 2.5, 5.12, 9.97, 12.21),  # playing objects
    13: (124, 0.87, 1.19, 2.02, 6.4, 10.52),  # putting hands together
    14: (38, 1.4, 1.64, 2.12, 3.93, 5.44),  # rubbing hands
    15: (88, 0.87, 1.43, 2.59, 4.38, 6.13),  # pointing oneself
    16: (31, 0.7, 1.53, 2.8, 5.03, 9.93),  # clenching fist
    17: (487, 0.7, 1.02, 2.1, 5.05, 8.83),  # stretching arms
    18: (62, 0.57, 0.6, 0.81, 1.17, 1.9),  # retracting arms
    19: (1215, 0.87, 1.59, 3.07, 5.5, 9.37),  # waving
    20: (258, 0.73, 1.61, 3.1, 6.59, 10.34),  # spreading hands
    21: (1303, 2.65, 5.27, 9.07, 11.43, 13.1),  # hands touching fingers
    22: (258, 1.47, 2.87, 4.98, 7.59, 11.35),  # other finger movements
    23: (358, 1.09, 2.11, 4.1, 7.4, 10.17),  # illustrative gestures
    24: (1127, 2.02, 4.1, 7.9, 10.78, 12.6),  # shaking legs
    25: (240, 2.73, 6.87, 10.37, 12.37, 13.51),  # curling legs
    26: (152, 0.9, 1.39, 1.93, 3.22, 4.9),  # spread legs
    27: (143, 0.7, 1.07, 1.66, 2.7, 4.94),  # closing legs
    28: (135, 2.33, 3.18, 7.2, 11.42, 12.46),  # crossing legs
    29: (327, 0.9, 1.31, 1.6, 2.6, 4.46),  # stretching feet
    30: (438, 0.7, 1.07, 1.59, 2.5, 3.93),  # retracting feet
    31: (117, 1.02, 1.33, 2.23, 4.03, 7.21),  # tiptoe
    32: (53, 1.1, 1.37, 2.37, 5.52, 7.22),  # scratching or touching neck
    33: (28, 0.87, 1.17, 1.4, 4.1, 5.95),  # scratching or touching chest
    34: (32, 1.2, 1.57, 2.28, 5.94, 10.45),  # scratching or touching back
    35: (24, 1.36, 2.08, 5.24, 10.47, 12.59),  # scratching or touching shoulder
    36: (4, 1.1, 1.74, 2.6, 3.1, 3.1),  # arms akimbo
    37: (125, 1.45, 3.07, 7.0, 11.23, 13.1),  # crossing arms
    38: (63, 0.51, 1.52, 3.1, 5.09, 7.39),  # playing or tidying hair
    39: (51, 1.23, 2.8, 4.9, 5.95, 7.6),  # scratching or touching hindbrain
    40: (38, 0.67, 1.58, 3.13, 5.11, 6.38),  # scratching or touching forehead
    41: (116, 0.93, 1.4, 3.13, 6.82, 10.32),  # scratching or touching face
    42: (34, 1.15, 1.62, 3.07, 5.19, 6.54),  # rubbing eyes
    43: (117, 0.96, 1.43, 2.57, 4.8, 6.0),  # touching nose
    44: (48, 0.6, 1.8, 2.75, 4.53, 6.1),  # touching ears
    45: (2, 3.45, 4.57, 6.45, 8.32, 9.45),  # covering face
    46: (13, 0.42, 0.67, 1.77, 2.4, 4.43),  # covering mouth
    47: (43, 0.41, 0.83, 1.27, 2.08, 3.13),  # pushing glasses
    48: (303, 0.55, 0.7, 1.17, 2.18, 3.43),  # patting legs
    49: (1010, 1.33, 2.2, 4.1, 8.64, 11.91),  # touching legs
    50: (128, 2.09, 3.0, 4.92, 7.66, 10.39),  # scratching legs
    51: (12, 1.97, 2.32, 3.29, 6.38, 9.33),  # scratching feet
}


def occurrence(index: int) -> float:
    """How often an action occurs, relative to the others."""
    return INTERVALS[index][0]


def draw_duration(rng: np.random.Generator, index: int) -> float:
    """A duration in seconds, interpolated between the quantiles on a logarithmic scale."""
    p10, p25, p50, p75, p90 = INTERVALS[index][1:]
    lowest, highest = p10 * (p10 / p25) ** 0.6, min(LONGEST_S, p90 * (p90 / p75) ** 0.5)
    levels = np.log([lowest, p10, p25, p50, p75, p90, max(highest, p90)])
    return float(np.exp(np.interp(rng.random(), (0.02, *_QUANTILES, 0.98), levels)))
