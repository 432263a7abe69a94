"""What a landmark network sees: the window's landmarks, normalised to the person, and what follows from them.

Everything comes from the window alone: no state outside it, no cold start. Lengths are in units of the person: the mean
over the window of the shoulders' width, or of the torso's length where that is longer. Nothing depends on the picture's
size, nor on where in it the person is. Points are those of `engines.landmarks`, in one array: body, left hand, right
hand, face. All steps of the computation are elementwise, small reductions or gathers, which every runtime has.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

POSE, LEFT, RIGHT, FACE, POINTS = 0, 33, 54, 75, 155  # where each part begins, and how many points there are
X, Y, Z, VISIBILITY, VALID, CHANNELS = 0, 1, 2, 3, 4, 5
TORSO_WIDTHS = 1.5  # a torso's length in shoulder widths, seen from the front
SMALL = 1e-4
NEAR, CLOSE = 0.3, 0.03  # of distances, units: the scale of nearness, and the softening of the logarithm
TIPS = (4, 8, 12, 16, 20)
CHAINS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
# Positions within the face's 80 points: what stands for a place of the face.
FOREHEAD, CHIN, NOSE_TIP, MOUTH = (0,), (18,), (60,), (77, 79)
EYES, CHEEKS = (tuple(range(46, 52)), tuple(range(52, 58))), ((8, 12), (24, 28))
MOVING = (0, 7, 8, 9, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)  # points whose speed counts
SEEN = ((11, 12), (13,), (14,), (15,), (16,), (23, 24), (25,), (26,), (27, 29, 31), (28, 30, 32))
MIRRORED_POSE = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(at + 1 - 2 * (at % 2 == 0) for at in range(11, 33)))


def _mean(points: Tensor, which: tuple[int, ...]) -> Tensor:
    """(N, T, P, C) → (N, T, C) of some of the points."""
    if len(which) == 1:
        return points[:, :, which[0]]
    return sum((points[:, :, one] for one in which[1:]), points[:, :, which[0]]) / len(which)


def _length(vectors: Tensor) -> Tensor:
    return torch.sqrt((vectors * vectors).sum(-1) + SMALL * SMALL)


def _before(values: Tensor, steps: int = 1) -> Tensor:
    """The values (N, T, ...) of so many steps earlier; the first ones again where there are none."""
    return torch.cat([values[:, :1]] * steps + [values[:, :-steps]], dim=1)


class LandmarkFeatures(nn.Module):
    """Landmarks (N, T, POINTS, CHANNELS) → features (N, T, `count`)."""

    def forward(self, landmarks: Tensor) -> Tensor:
        """What a step shows and how it differs from the one before; zero where nobody was found."""
        found = landmarks[:, :, :1, VALID]  # (N, T, 1) whether there is a person
        valid = landmarks[..., VALID]
        seen = ((landmarks[..., :33, VISIBILITY] - 0.3) / 0.4).clamp(0.0, 1.0) * found  # (N, T, 33)
        xy, depth = self._normalised(landmarks, found, seen)
        hands = [self._hand(xy, valid, side) for side in (0, 1)]
        head = self._head(xy, valid[:, :, FACE])
        groups = [self._body(xy, depth, seen, found), self._turns(xy, head, found, valid[:, :, FACE])]
        groups += [self._speeds(xy, seen, found, hands, valid)]
        for side in (0, 1):
            groups += [self._contacts(xy, head, hands, side), self._shape(landmarks, xy, valid, side)]
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

    def _hand(self, xy: Tensor, valid: Tensor, side: int) -> Tensor:
        """A hand's five finger tips, palm and wrist (N, T, 7, 2); from the pose where no hand was tracked."""
        first = (LEFT, RIGHT)[side]
        palm = _mean(xy, (first, first + 5, first + 17))
        tracked = torch.stack([*(xy[:, :, first + tip] for tip in TIPS), palm, xy[:, :, first]], dim=2)
        wrist, little, index, thumb = (xy[:, :, at + side] for at in (15, 17, 19, 21))
        reach = 0.6 * (index + little - 2.0 * wrist)  # the pose's finger points are knuckles
        tips = [thumb + 0.3 * (thumb - wrist), *(a + reach for a in (index, 0.6 * index + 0.4 * little))]
        tips += [0.3 * index + 0.7 * little + reach, little + 0.8 * reach]
        posed = torch.stack([*tips, (wrist + index + little) / 3.0, wrist], dim=2)
        has = valid[:, :, first, None, None]
        return has * tracked + (1.0 - has) * posed

    def _head(self, xy: Tensor, has_face: Tensor) -> dict[str, Tensor]:
        """Places of the head (N, T, 2) by name: from the face's mesh, or from the pose where there is none."""
        eyes = (xy[:, :, 2], xy[:, :, 5])
        brow, mouth = 0.5 * (eyes[0] + eyes[1]), 0.5 * (xy[:, :, 9] + xy[:, :, 10])
        down = mouth - brow
        has = has_face[..., None]

        def place(mesh: tuple[int, ...], pose: Tensor) -> Tensor:
            return has * _mean(xy, tuple(FACE + at for at in mesh)) + (1.0 - has) * pose

        head = {"nose": place(NOSE_TIP, xy[:, :, 0]), "mouth": place(MOUTH, mouth),
                "chin": place(CHIN, mouth + 0.55 * down), "forehead": place(FOREHEAD, brow - 0.75 * down)}  # fmt: skip
        for side, name in enumerate(("left", "right")):
            ear = xy[:, :, 7 + side]
            head[f"{name} eye"] = place(EYES[side], eyes[side])
            head[f"{name} ear"] = ear
            head[f"{name} cheek"] = place(CHEEKS[side], 0.5 * (ear + xy[:, :, 9 + side]))
            head[f"{name} hair"] = ear + 1.1 * (head["forehead"] - brow)
        head["crown"] = head["forehead"] + 0.6 * (head["forehead"] - head["nose"])
        head["brow"], head["middle"] = brow, 0.5 * (xy[:, :, 7] + xy[:, :, 8])
        return head

    def _places(self, xy: Tensor, head: dict[str, Tensor], hands: list[Tensor], side: int) -> Tensor:
        """Where a hand may touch, (N, T, K, 2); the hand's own side first."""
        mine, other = ("left", "right") if side == 0 else ("right", "left")
        own, far = side, 1 - side
        shoulders, hips = [xy[:, :, 11], xy[:, :, 12]], [xy[:, :, 23], xy[:, :, 24]]
        elbows, wrists = [xy[:, :, 13], xy[:, :, 14]], [xy[:, :, 15], xy[:, :, 16]]
        knees, ankles = [xy[:, :, 25], xy[:, :, 26]], [xy[:, :, 27], xy[:, :, 28]]
        neck, pelvis = 0.5 * (shoulders[0] + shoulders[1]), 0.5 * (hips[0] + hips[1])
        trunk = pelvis - neck
        places = [head[name] for name in ("nose", "mouth", "chin", "forehead", "crown", "brow")]
        places += [head[f"{name} {place}"] for place in ("eye", "ear", "cheek", "hair") for name in (mine, other)]
        places += [0.55 * head["chin"] + 0.45 * neck, neck, neck + 0.25 * trunk, neck + 0.65 * trunk, pelvis]
        places += [shoulders[own], shoulders[far], 0.5 * (shoulders[far] + elbows[far]), elbows[far]]
        places += [0.5 * (elbows[far] + wrists[far]), wrists[far], hands[far][:, :, 5], hands[far][:, :, 1:4].mean(2)]
        places += [hips[own], hips[far], 0.5 * (hips[own] + knees[own]), knees[own], knees[far], ankles[own],
                   ankles[far]]  # fmt: skip
        return torch.stack(places, dim=2)

    def _contacts(self, xy: Tensor, head: dict[str, Tensor], hands: list[Tensor], side: int) -> Tensor:
        """How near a hand is to each place: the nearest tip and the palm, as logarithm and as nearness."""
        places, hand = self._places(xy, head, hands, side), hands[side]
        tips = _length(hand[:, :, :5, None] - places[:, :, None])  # (N, T, 5, K)
        nearest = tips.amin(2)
        palm = _length(hand[:, :, 5, None] - places)
        tips_apart = _length(hands[0][:, :, :5, None] - hands[1][:, :, None, :5]).flatten(2).amin(2)[..., None]
        logs = [torch.log(CLOSE + one) for one in (nearest, palm, tips_apart)]
        away = (hand[:, :, 5] - head["middle"], hand[:, :, 1] - head["nose"])
        return torch.cat([*logs, torch.exp(nearest / -NEAR), *away], dim=-1)

    def _shape(self, landmarks: Tensor, xy: Tensor, valid: Tensor, side: int) -> Tensor:
        """A hand's points around its wrist, how far its fingers are bent and spread; zero where none was tracked."""
        first = (LEFT, RIGHT)[side]
        has = valid[:, :, first, None]
        points = landmarks[:, :, first : first + 21, :3]
        local = points - points[:, :, :1]
        palm = torch.maximum(_length(local[:, :, 9]), 0.8 * _length(local[:, :, 5] - local[:, :, 17]))
        local = local / (palm[..., None, None] + SMALL)
        bends = []
        for chain in CHAINS:
            bones = [local[:, :, b] - local[:, :, a] for a, b in itertools.pairwise(chain)]
            bends += [(a * b).sum(-1) / (_length(a) * _length(b)) for a, b in itertools.pairwise(bones)]
        tips = local[:, :, list(TIPS)]
        apart = _length(tips - torch.roll(tips, 1, dims=2))  # thumb to little finger first
        reach = _length(tips)
        around = (xy[:, :, first : first + 21] - xy[:, :, first : first + 1]).flatten(2) * 2.0
        shape = torch.cat([torch.stack(bends, dim=-1), apart, reach, tips[..., 2].clamp(-3.0, 3.0)], dim=-1)
        return torch.cat([shape.clamp(-4.0, 4.0) * has, around * has, has], dim=-1)

    def _body(self, xy: Tensor, depth: Tensor, seen: Tensor, found: Tensor) -> Tensor:
        """Places and depths of the pose's points as far as they are seen, bone angles, and what is seen."""
        legs = seen[:, :, 25:, None]
        places = [xy[:, :, :25].flatten(2), (xy[:, :, 25:33] * legs).flatten(2)]
        shoulders = 0.5 * (xy[:, :, 11:12] + xy[:, :, 12:13])
        arms = xy[:, :, 13:17] - shoulders  # as of this very moment
        angles = []
        for a, b, c in ((11, 13, 15), (12, 14, 16), (23, 25, 27), (24, 26, 28), (13, 11, 23), (14, 12, 24)):
            one, two = xy[:, :, a] - xy[:, :, b], xy[:, :, c] - xy[:, :, b]
            cosine = (one * two).sum(-1) / (_length(one) * _length(two))
            angles.append(cosine * seen[:, :, b] * seen[:, :, c])
        places += [arms.flatten(2), torch.stack(angles, dim=-1)]
        places += [torch.tanh(depth[:, :, 13:23]), torch.tanh(depth[:, :, :1])]
        places += [torch.stack([_mean(seen[..., None], which)[..., 0] for which in SEEN], dim=-1)]
        size = _length(xy[:, :, 11] - xy[:, :, 12])[..., None]
        return torch.cat([*places, size, found], dim=-1)

    def _turns(self, xy: Tensor, head: dict[str, Tensor], found: Tensor, has_face: Tensor) -> Tensor:
        """The head's yaw, pitch and roll as ratios, their deviation from the window's mean, and their speed."""
        pose = []
        for points in (
            (xy[:, :, 0], head["middle"], xy[:, :, 7], xy[:, :, 8], 0.5 * (xy[:, :, 2] + xy[:, :, 5]),
             0.5 * (xy[:, :, 9] + xy[:, :, 10])),
            (head["nose"], 0.5 * (head["left cheek"] + head["right cheek"]), head["left cheek"], head["right cheek"],
             0.5 * (head["left eye"] + head["right eye"]), head["mouth"]),
        ):  # fmt: skip
            nose, middle, left, right, eyes, mouth = points
            away, across, height = nose - middle, left - right, mouth - eyes
            size = _length(across) + 0.8 * _length(height) + SMALL
            pose += [away[..., 0] / size, away[..., 1] / size, across[..., 1] / size, height[..., 0] / size,
                     _length(across) / size, height[..., 1] / size, size]  # fmt: skip
        mouth_open = head["chin"] - head["nose"]
        turns = torch.stack([*pose, mouth_open[..., 1]], dim=-1) * found
        place = torch.cat([head["middle"], 0.5 * (xy[:, :, 11] + xy[:, :, 12]), head["middle"] - xy[:, :, 11]], -1)
        both = torch.cat([turns, place], dim=-1)
        steps = found.sum(1, keepdim=True).clamp(min=1.0)
        apart = (both - (both * found).sum(1, keepdim=True) / steps) * found
        speed = (both - _before(both)) * _before(found)
        slower = (both - _before(both, 3)) * _before(found, 3)
        return torch.cat([both, 4.0 * apart, 20.0 * speed, 8.0 * slower, has_face[..., None]], dim=-1).clamp(-6, 6)

    def _speeds(self, xy: Tensor, seen: Tensor, found: Tensor, hands: list[Tensor], valid: Tensor) -> Tensor:
        """How points of the body and of the hands moved since the step before; zero where one of the two is absent."""
        body = xy[:, :, list(MOVING)]
        still = seen[:, :, list(MOVING), None] * found[..., None] * _before(found)[..., None]
        moved = ((body - _before(body)) * still).flatten(2)
        deviation = xy[:, :, 23:33] * seen[:, :, 23:33, None]
        steps = found.sum(1, keepdim=True).clamp(min=1.0)[..., None]
        deviation = (deviation - deviation.sum(1, keepdim=True) / steps) * seen[:, :, 23:33, None]
        groups = [10.0 * moved, 4.0 * deviation.flatten(2)]
        for side in (0, 1):
            has = valid[:, :, (LEFT, RIGHT)[side], None]
            both = has * _before(has)
            local = hands[side][:, :, :6] - hands[side][:, :, 6:]
            groups += [15.0 * (local - _before(local)).flatten(2) * both]
            groups += [10.0 * (hands[side][:, :, 5] - _before(hands[side][:, :, 5])) * found * _before(found)]
        return torch.cat(groups, dim=-1).clamp(-6.0, 6.0)


def mirrored(landmarks: Tensor) -> Tensor:
    """The same person in a mirror: left and right exchanged; (N, T, POINTS, CHANNELS)."""
    order = torch.tensor(mirror_order(), device=landmarks.device)
    turned = landmarks.index_select(2, order)
    return torch.cat([-turned[..., :1] * turned[..., VALID:], turned[..., 1:]], dim=-1)


def mirror_order() -> list[int]:
    """(POINTS,) which point of the original each point of the mirror image is."""
    oval = [0, *range(35, 0, -1)]
    brows = [*range(41, 46), *range(36, 41)]
    eyes = [*range(52, 58), *range(46, 52)]
    nose = [58, 59, 60, 61, 63, 62]
    lips = [70, 69, 68, 67, 66, 65, 64, 75, 74, 73, 72, 71]
    mouth = [78, 77, 76, 79]
    face = [*oval, *brows, *eyes, *nose, *lips, *mouth]
    return [*MIRRORED_POSE, *range(RIGHT, FACE), *range(LEFT, RIGHT), *(FACE + at for at in face)]
