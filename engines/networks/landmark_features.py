"""What a landmark network sees: the window's landmarks, normalised to the person, and what follows from them.

Everything comes from the window alone: no state outside it, no cold start. Lengths are in units of the person: the mean
over the window of the shoulders' width, or of the torso's length where that is longer. Nothing depends on the picture's
size, nor on where in it the person is. Points are those of `engines.landmarks.steps`. Mixtures of points are products
with a matrix: a graph of few large operations is fast in every runtime.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from engines.networks.landmark_places import (
    CHOSEN,
    FACE,
    FACE_PLACES,
    HAND_PLACES,
    LEFT,
    POINTS,
    RIGHT,
    TIPS,
    Mixture,
    face,
    hand,
    matrix,
    mean,
    minus,
    own_places,
    posed_places,
    touched_places,
)

Z, VISIBILITY, VALID = 2, 3, 4  # channels behind x and y
TORSO_WIDTHS = 1.5  # a torso's length in shoulder widths, seen from the front
SMALL = 1e-4
LEAST_SQUARE = SMALL * SMALL  # added, it would be lost: graph optimisers take it for nothing
NEAR, CLOSE = 0.3, 0.03  # of distances, units: the scale of nearness, and the softening of the logarithm
CHAINS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
JOINTS = ((11, 13, 15), (12, 14, 16), (23, 25, 27), (24, 26, 28), (13, 11, 23), (14, 12, 24))  # whose angles count
MOVING = (0, 7, 8, 9, 11, 12, 13, 14, 15, 16, *range(23, 33))  # points of the pose whose speed counts
SEEN = ((11, 12), (13,), (14,), (15,), (16,), (23, 24), (25,), (26,), (27, 29, 31), (28, 30, 32))
MIRRORED_POSE = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(at + 1 - 2 * (at % 2 == 0) for at in range(11, 33)))


def _mixtures() -> dict[str, list[Mixture]]:
    """What the features are made from, by group, of the points and the chosen places behind them."""
    shoulders, ears = mean((11, 12)), mean((7, 8))
    one = {"body": [mean((at,)) for at in range(25)], "legs": [mean((at,)) for at in range(25, 33)]}
    one["arms"] = [minus(mean((at,)), shoulders) for at in range(13, 17)]
    one["from joint"] = [minus(mean((a,)), mean((b,))) for a, b, _ in JOINTS]
    one["to joint"] = [minus(mean((c,)), mean((b,))) for _, b, c in JOINTS]
    cheeks, eyes = ([face(f"left {name}"), face(f"right {name}")] for name in ("cheek", "eye"))
    middle = {at: 0.5 for part in cheeks for at in part}
    sight = {at: 0.5 for part in eyes for at in part}
    one["head"] = [minus(mean((0,)), ears), minus(mean((7,)), mean((8,))), minus(mean((9, 10)), mean((2, 5)))]
    one["head"] += [minus(face("nose"), middle), minus(*cheeks), minus(face("mouth"), sight)]
    one["jaw"] = [minus(face("chin"), face("nose"))]
    one["place"] = [ears, shoulders, minus(ears, mean((11,)))]
    one["moving"] = [mean((at,)) for at in MOVING]
    one["fingers"] = [minus(hand(side, at), hand(side, 6)) for side in (0, 1) for at in range(6)]
    one["palms"] = [hand(side, 5) for side in (0, 1)]
    one["touched"] = [place for side in (0, 1) for place in touched_places(side)]
    one["away"] = [part for side in (0, 1) for part in (minus(hand(side, 5), ears), minus(hand(side, 1), face("nose")))]
    one["around"] = [minus(mean((first + at,)), mean((first,))) for first in (LEFT, RIGHT) for at in range(21)]
    return one


def _bones() -> list[Mixture]:
    """Ways within one hand: palm (2), bones of the fingers (5 · 4), from tip to tip (5), from wrist to tip (5)."""
    ways = [minus(mean((9,)), mean((0,))), minus(mean((5,)), mean((17,)))]
    ways += [minus(mean((b,)), mean((a,))) for chain in CHAINS for a, b in itertools.pairwise(chain)]
    ways += [minus(mean((TIPS[at],)), mean((TIPS[at - 1],))) for at in range(5)]  # the thumb's to the little finger's
    return ways + [minus(mean((tip,)), mean((0,))) for tip in TIPS]


def _length(vectors: Tensor, dim: int = -1) -> Tensor:
    return torch.sqrt((vectors * vectors).sum(dim).clamp(min=LEAST_SQUARE))


def _unflat(values: Tensor, dim: int, sizes: tuple[int, int]) -> Tensor:
    """One axis as two."""
    return values.reshape(*values.shape[:dim], *sizes, *values.shape[dim + 1 :])


def _before(values: Tensor, steps: int = 1) -> Tensor:
    """The values (N, T, ...) of so many steps earlier; the first ones again where there are none."""
    return torch.cat([values[:, :1]] * steps + [values[:, :-steps]], dim=1)


class LandmarkFeatures(nn.Module):
    """Landmarks (N, T, POINTS, CHANNELS) → features (N, T, `count`)."""

    def __init__(self) -> None:
        super().__init__()
        groups = _mixtures()
        self._at: dict[str, slice] = {}
        for name, mixtures in groups.items():
            first = 0 if not self._at else list(self._at.values())[-1].stop
            self._at[name] = slice(first, first + len(mixtures))
        whole = [one for mixtures in groups.values() for one in mixtures]
        has = [FACE] * len(FACE_PLACES) + [LEFT] * HAND_PLACES + [RIGHT] * HAND_PLACES
        constants = {
            "both": matrix(own_places() + posed_places(), POINTS),
            "mixed": matrix(whole, POINTS + CHOSEN),
            "bones": matrix(_bones(), 21),
            "groups": matrix([mean(which) for which in SEEN], 33),
            "has": torch.tensor(has),
            "moving": torch.tensor(MOVING),
            "corners": torch.tensor([b for _, b, _ in JOINTS] + [c for _, _, c in JOINTS]),
        }
        for name, values in constants.items():
            self.register_buffer(f"_{name}", values, persistent=False)
        self._both: Tensor
        self._mixed: Tensor
        self._bones: Tensor
        self._groups: Tensor
        self._has: Tensor
        self._moving: Tensor
        self._corners: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """What a step shows and how it differs from the one before; zero where nobody was found."""
        valid = landmarks[..., VALID]
        found = valid[:, :, :1]  # (N, T, 1) whether there is a person
        seen = ((landmarks[:, :, :33, VISIBILITY] - 0.3) / 0.4).clamp(0.0, 1.0) * found  # (N, T, 33)
        places, depth = self._normalised(landmarks, found, seen)
        values = places.transpose(2, 3)  # (N, T, 2, P)
        own, posed = torch.split(values @ self._both, CHOSEN, dim=-1)
        has = valid.index_select(2, self._has)[:, :, None]
        chosen = posed + has * (own - posed)  # (N, T, 2, CHOSEN)
        mixed = (torch.cat([values, chosen], dim=-1) @ self._mixed).transpose(2, 3)  # (N, T, M, 2)
        part = {name: mixed[:, :, at] for name, at in self._at.items()}
        hands = chosen[..., len(FACE_PLACES) :]
        groups = [self._body(part, depth, seen, found), self._turns(part, found, valid)]
        groups += [self._speeds(part, seen, found, valid)]
        contacts = self._contacts(part, hands)
        shapes = self._shapes(landmarks, part, valid)
        for side in (0, 1):
            groups += [contacts[side], shapes[side]]
        return torch.cat(groups, dim=-1) * found

    def _normalised(self, landmarks: Tensor, found: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Places (N, T, P, 2) around the shoulders' mean place, and the pose's depth (N, T, 33), in units."""
        xy, z = landmarks[..., :2], landmarks[:, :, :33, Z]
        shoulders = 0.5 * (xy[:, :, 11] + xy[:, :, 12])  # (N, T, 2)
        hips = 0.5 * (xy[:, :, 23] + xy[:, :, 24])
        across = _length(xy[:, :, 11] - xy[:, :, 12])
        along = _length(shoulders - hips) * seen[:, :, 23] * seen[:, :, 24]
        size = torch.maximum(across, along / TORSO_WIDTHS)[..., None]  # (N, T, 1)
        steps = found.sum(1, keepdim=True).clamp(min=1.0)  # (N, 1, 1)
        unit = (size * found).sum(1, keepdim=True) / steps
        unit = torch.where(unit > 0.0, unit, torch.ones_like(unit))
        middle = (shoulders * found).sum(1, keepdim=True) / steps  # (N, 1, 2)
        places = (xy - middle[:, :, None]) / unit[..., None] * landmarks[..., VALID:]
        girdle = 0.5 * (z[:, :, 11:12] + z[:, :, 12:13])
        return places.clamp(-8.0, 8.0), ((z - girdle) / unit * found).clamp(-3.0, 3.0)

    def _body(self, part: dict[str, Tensor], depth: Tensor, seen: Tensor, found: Tensor) -> Tensor:
        """Places and depths of the pose's points as far as they are seen, bone angles, and what is seen."""
        one, two = part["from joint"], part["to joint"]
        cosine = (one * two).sum(-1) / (_length(one) * _length(two))
        corner, end = torch.split(seen.index_select(2, self._corners), len(JOINTS), dim=-1)
        legs = part["legs"] * seen[:, :, 25:, None]
        size = _length(part["body"][:, :, 11] - part["body"][:, :, 12])[..., None]
        places = [part["body"].flatten(2), legs.flatten(2), part["arms"].flatten(2), cosine * corner * end]
        depths = torch.tanh(torch.cat([depth[:, :, 13:23], depth[:, :, :1]], dim=-1))
        return torch.cat([*places, depths, seen @ self._groups, size, found], dim=-1)

    def _turns(self, part: dict[str, Tensor], found: Tensor, valid: Tensor) -> Tensor:
        """The head's yaw, pitch and roll as ratios, their deviation from the window's mean, and their speed."""
        ways = _unflat(part["head"], 2, (2, 3))  # (N, T, pose or face, nose · across · down, 2)
        lengths = _length(ways)
        size = (lengths[..., 1:2] + 0.8 * lengths[..., 2:3]) + SMALL  # (N, T, 2, 1)
        away, across, down = ways.unbind(3)
        ratios = torch.cat([away, across[..., 1:], down[..., :1], lengths[..., 1:2], down[..., 1:]], dim=-1) / size
        turns = torch.cat([torch.cat([ratios, size], dim=-1).flatten(2), part["jaw"][:, :, 0, 1:]], dim=-1) * found
        both = torch.cat([turns, part["place"].flatten(2)], dim=-1)
        steps = found.sum(1, keepdim=True).clamp(min=1.0)
        apart = (both - (both * found).sum(1, keepdim=True) / steps) * found
        speed = (both - _before(both)) * _before(found)
        slower = (both - _before(both, 3)) * _before(found, 3)
        has_face = valid[:, :, FACE : FACE + 1]
        return torch.cat([both, 4.0 * apart, 20.0 * speed, 8.0 * slower, has_face], dim=-1).clamp(-6.0, 6.0)

    def _speeds(self, part: dict[str, Tensor], seen: Tensor, found: Tensor, valid: Tensor) -> Tensor:
        """How points of the body and of the hands moved since the step before; zero where one of the two is absent."""
        both = (found * _before(found))[..., None]
        together = torch.cat([part["moving"], part["fingers"], part["palms"]], dim=2)
        moved, fingers, palms = torch.split(together - _before(together), [len(MOVING), 12, 2], dim=2)
        moved = (moved * seen.index_select(2, self._moving)[..., None] * both).flatten(2)
        visible = seen[:, :, 23:33, None]
        below = part["moving"][:, :, -10:] * visible
        steps = found.sum(1, keepdim=True).clamp(min=1.0)[..., None]
        below = (below - below.sum(1, keepdim=True) / steps) * visible
        groups = [10.0 * moved, 4.0 * below.flatten(2)]
        for side in (0, 1):
            has = valid[:, :, (LEFT, RIGHT)[side], None]
            groups += [15.0 * fingers[:, :, 6 * side : 6 * side + 6].flatten(2) * (has * _before(has))]
            groups += [10.0 * palms[:, :, side] * both[..., 0]]
        return torch.cat(groups, dim=-1).clamp(-6.0, 6.0)

    @staticmethod
    def _contacts(part: dict[str, Tensor], hands: Tensor) -> list[Tensor]:
        """How near each hand is to each place: the nearest tip and the palm, as logarithm and as nearness."""
        points = _unflat(hands, 3, (2, HAND_PLACES)).transpose(2, 3)  # (N, T, side, 2, 7)
        touched = _unflat(part["touched"], 2, (2, -1)).transpose(3, 4)  # (N, T, side, 2, K)
        ways = points[..., :6, None] - touched[..., None, :]  # (N, T, side, 2, 6, K)
        squares = (ways * ways).sum(3)
        nearest = torch.sqrt(squares[..., :5, :].amin(3).clamp(min=LEAST_SQUARE))  # (N, T, side, K)
        palm = torch.sqrt(squares[..., 5, :].clamp(min=LEAST_SQUARE))
        between = points[:, :, 0, :, :5, None] - points[:, :, 1, :, None, :5]
        apart = torch.sqrt((between * between).sum(2).flatten(2).amin(2, keepdim=True).clamp(min=LEAST_SQUARE))
        apart = torch.log(CLOSE + apart)
        logs = torch.log(CLOSE + torch.cat([nearest, palm], dim=-1))
        near = torch.exp(nearest / -NEAR)
        away = _unflat(part["away"], 2, (2, 2)).flatten(3)
        return [torch.cat([logs[:, :, at], apart, near[:, :, at], away[:, :, at]], dim=-1) for at in (0, 1)]

    def _shapes(self, landmarks: Tensor, part: dict[str, Tensor], valid: Tensor) -> list[Tensor]:
        """Each hand's points around its wrist, how far its fingers are bent and spread; zero where none was tracked."""
        points = _unflat(landmarks[:, :, LEFT:FACE, :3], 2, (2, 21)).transpose(3, 4)  # (N, T, side, 3, 21)
        ways = points @ self._bones  # (N, T, side, 3, 32)
        sizes = _length(ways[..., :2], 3)
        palm = torch.maximum(sizes[..., 0], 0.8 * sizes[..., 1])[..., None, None]
        ways = ways / (palm + SMALL)
        lengths = _length(ways, 3)  # (N, T, side, 32)
        bones, sides = _unflat(ways[..., 2:22], 4, (5, 4)), _unflat(lengths[..., 2:22], 3, (5, 4))
        bends = (bones[..., :3] * bones[..., 1:]).sum(3) / (sides[..., :3] * sides[..., 1:])
        shape = torch.cat([bends.flatten(3), lengths[..., 22:], ways[..., 2, 27:].clamp(-3.0, 3.0)], dim=-1)
        around = _unflat(part["around"], 2, (2, 21)).flatten(3) * 2.0
        has = torch.stack([valid[:, :, LEFT], valid[:, :, RIGHT]], dim=2)[..., None]
        whole = torch.cat([torch.cat([shape.clamp(-4.0, 4.0), around], dim=-1) * has, has], dim=-1)
        return [whole[:, :, 0], whole[:, :, 1]]


def mirrored(landmarks: Tensor) -> Tensor:
    """The same person in a mirror: left and right exchanged; (N, T, POINTS, CHANNELS)."""
    turned = landmarks.index_select(2, torch.tensor(mirror_order(), device=landmarks.device))
    return torch.cat([-turned[..., :1] * turned[..., VALID:], turned[..., 1:]], dim=-1)


def mirror_order() -> list[int]:
    """(POINTS,) which point of the original each point of the mirror image is."""
    oval = [0, *range(35, 0, -1)]
    brows = [*range(41, 46), *range(36, 41)]
    eyes = [*range(52, 58), *range(46, 52)]
    nose = [58, 59, 60, 61, 63, 62]
    lips = [70, 69, 68, 67, 66, 65, 64, 75, 74, 73, 72, 71]
    mouth = [78, 77, 76, 79]
    points = [*oval, *brows, *eyes, *nose, *lips, *mouth]
    return [*MIRRORED_POSE, *range(RIGHT, FACE), *range(LEFT, RIGHT), *(FACE + at for at in points)]
