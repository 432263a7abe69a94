"""Places of a body that features of landmarks speak of, as weights of the tracked points: two small matrices.

A place is a mixture of points, so all places of a step are one product. Some have two mixtures: from the hand's or the
face's own points, and, where these were not found, from the pose's.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

POSE, LEFT, RIGHT, FACE, POINTS = 0, 33, 54, 75, 155  # where each part begins, and how many points there are
TIPS = (4, 8, 12, 16, 20)
# Positions within the face's 80 points: what stands for a place of the face.
FOREHEAD, CHIN, NOSE_TIP, MOUTH = (0,), (18,), (60,), (77, 79)
EYES, CHEEKS = (tuple(range(46, 52)), tuple(range(52, 58))), ((8, 12), (24, 28))
FACE_PLACES = ("nose", "mouth", "chin", "forehead", "left eye", "right eye", "left cheek", "right cheek")
HAND_PLACES = 7  # five finger tips, palm, wrist
CHOSEN = len(FACE_PLACES) + 2 * HAND_PLACES  # places with two mixtures

Mixture = dict[int, float]  # weights of points


def mean(points: Iterable[int]) -> Mixture:
    """The middle of some points."""
    points = tuple(points)
    return dict.fromkeys(points, 1.0 / len(points))


def mix(*parts: tuple[float, Mixture]) -> Mixture:
    """A weighted sum."""
    found: Mixture = {}
    for weight, part in parts:
        for point, share in part.items():
            found[point] = found.get(point, 0.0) + weight * share
    return found


def minus(one: Mixture, other: Mixture) -> Mixture:
    """The way from `other` to `one`."""
    return mix((1.0, one), (-1.0, other))


def matrix(mixtures: list[Mixture], points: int) -> Tensor:
    """(points, M)."""
    weights = torch.zeros(points, len(mixtures))
    for column, one in enumerate(mixtures):
        for point, weight in one.items():
            weights[point, column] = weight
    return weights


def own_places() -> list[Mixture]:
    """Of the face and the hands from their own points, in the order of `FACE_PLACES`, left hand, right hand."""
    face = (NOSE_TIP, MOUTH, CHIN, FOREHEAD, *EYES, *CHEEKS)
    places = [mean(FACE + at for at in which) for which in face]
    for first in (LEFT, RIGHT):
        places += [mean((first + tip,)) for tip in TIPS]
        places += [mean((first, first + 5, first + 17)), mean((first,))]
    return places


def posed_places() -> list[Mixture]:
    """The same from the pose alone. Its finger points are knuckles: the tips lie beyond."""
    brow, mouth = mean((2, 5)), mean((9, 10))
    down = minus(mouth, brow)
    places = [mean((0,)), mouth, mix((1.0, mouth), (0.55, down)), mix((1.0, brow), (-0.75, down))]
    places += [mean((2,)), mean((5,)), mean((7, 9)), mean((8, 10))]
    for side in (0, 1):
        wrist, little, index, thumb = (mean((at + side,)) for at in (15, 17, 19, 21))
        reach = mix((0.6, index), (0.6, little), (-1.2, wrist))
        places += [mix((1.3, thumb), (-0.3, wrist))]
        for share, far in ((1.0, 1.0), (0.6, 1.0), (0.3, 1.0), (0.0, 0.8)):
            places.append(mix((share, index), (1.0 - share, little), (far, reach)))
        places += [mean((15 + side, 17 + side, 19 + side)), wrist]
    return places


def face(name: str) -> Mixture:
    """A chosen place of the face, behind the points."""
    return mean((POINTS + FACE_PLACES.index(name),))


def hand(side: int, place: int) -> Mixture:
    """A chosen place of a hand: 0-4 tips, 5 palm, 6 wrist."""
    return mean((POINTS + len(FACE_PLACES) + side * HAND_PLACES + place,))


def touched_places(side: int) -> list[Mixture]:
    """Where a hand may touch; the hand's own side first."""
    own, far = side, 1 - side
    brow, neck, pelvis = mean((2, 5)), mean((11, 12)), mean((23, 24))
    lift = mix((1.1, face("forehead")), (-1.1, brow))
    names = (("left", "right"), ("right", "left"))[side]
    ears = [mean((7 + at,)) for at in (own, far)]
    shoulder, elbow, wrist, hip, knee, ankle = (
        [mean((first + at,)) for at in (own, far)] for first in (11, 13, 15, 23, 25, 27)
    )
    places = [face("nose"), face("mouth"), face("chin"), face("forehead")]
    places += [mix((1.6, face("forehead")), (-0.6, face("nose"))), brow]
    places += [face(f"{name} eye") for name in names] + ears + [face(f"{name} cheek") for name in names]
    places += [mix((1.0, ear), (1.0, lift)) for ear in ears]
    places += [mix((0.55, face("chin")), (0.45, neck)), neck]
    places += [mix((1.0 - down, neck), (down, pelvis)) for down in (0.25, 0.65)] + [pelvis]
    places += [*shoulder, mix((0.5, shoulder[1]), (0.5, elbow[1])), elbow[1]]
    places += [mix((0.5, elbow[1]), (0.5, wrist[1])), wrist[1], hand(far, 5)]
    places += [mix(*((1.0 / 3.0, hand(far, tip)) for tip in (1, 2, 3)))]
    return [*places, *hip, mix((0.5, hip[0]), (0.5, knee[0])), *knee, *ankle]
