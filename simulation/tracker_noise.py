"""What a landmark tracker makes of the truth: jitter, lag, lost hands, swapped hands, guessed legs, lost faces.

Lengths are in shoulder widths as the camera sees them face on ("widths"), times in seconds,
so that the settings hold for
every resolution and frame rate. Head points of real, still clips jitter by 0.003-0.016 widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.landmarks.steady_head import SteadyHead
from simulation.body import Posed
from simulation.camera import WHOLE_BODY, Camera
from simulation.geometry import Array, minimum_jerk, wander
from simulation.subject import Subject

Float32Array = npt.NDArray[np.float32]
Range = tuple[float, float]
HEAD, SHOULDERS, ELBOWS, WRISTS = slice(0, 11), slice(11, 13), slice(13, 15), slice(15, 23)
HIPS, KNEES, FEET = slice(23, 25), slice(25, 27), slice(27, 33)


@dataclass(frozen=True, slots=True)
class NoiseSettings:
    """Every constant of a tracker's errors. Ranges are drawn once a session, log-uniformly where both are positive."""

    severity: Range = (0.7, 1.7)  # multiplies all jitter
    head: Range = (0.002, 0.011)  # std of the raw points, new at every frame, widths; the filter leaves a fifth of it
    shoulders: Range = (0.003, 0.007)
    elbows: Range = (0.003, 0.011)
    wrists: Range = (0.003, 0.011)
    hips: Range = (0.005, 0.012)
    knees: Range = (0.008, 0.018)
    feet: Range = (0.004, 0.018)
    depth: Range = (0.03, 0.2)  # the same of z
    drift: Range = (0.0008, 0.006)  # std of slow error, in addition, which no filter takes away
    drift_s: Range = (0.25, 1.0)
    smoothed: float = 0.96  # of sessions; the pose is not smoothed while there are two people in the picture
    least_cutoff_hz: float = 0.05  # One Euro filter of the pose
    cutoff_per_speed: float = 80.0
    speed_cutoff_hz: float = 1.0
    speed_unit: float = 6.0  # widths
    hand: Range = (0.0012, 0.003)  # each of a hand's points, new at every frame: hands are not smoothed
    finger_tip: Range = (0.0015, 0.007)
    hand_depth: Range = (1.0, 2.0)  # z of hands is that much noisier
    face: Range = (0.0003, 0.0012)  # the whole mesh
    face_point: Range = (0.0003, 0.0009)
    pose_depth: Range = (0.9, 3.2)  # the pose's z is overestimated
    depth_tilt: Range = (0.0, 1.2)  # and seated people seem to lean towards the camera, widths per width of height
    depth_tilt_near: Range = (0.0, 0.3)  # the same where only the upper body is seen
    depth_scale: Range = (0.7, 1.3)  # the hands' z
    bias: float = 0.018  # std of the constant misplacement of each pose point, widths
    burst_rate_hz: Range = (0.01, 0.12)  # spells of larger error of one part of the body
    burst_factor: Range = (2.0, 6.0)
    burst_s: Range = (0.08, 0.5)
    hand_lost: Range = (0.002, 0.08)  # share of time, plainly visible
    hand_lost_near_face: Range = (0.02, 0.4)
    hand_lost_near_hand: Range = (0.03, 0.45)  # one of two hands that meet
    hand_lost_fast: Range = (0.05, 0.5)  # at 6 widths per s
    hand_lost_small: float = 0.35  # a hand of 12 pixels; none more at 40
    hand_spell_s: Range = (0.05, 0.25)
    hands_swapped: Range = (0.0, 0.04)  # share of time while close together
    hands_lost_session: float = 0.06  # of sessions without any hands (gloves, sleeves, dark)
    face_lost_yaw: Range = (1.05, 1.45)  # rad between face and camera
    face_lost: Range = (0.0, 0.01)
    face_covered: Range = (0.05, 0.5)  # share of time lost while a hand covers the face
    faces_lost_session: float = 0.15  # of sessions without a face (far away, or made unrecognisable) ...
    head_without_face: Range = (1.5, 3.0)  # ... where the pose's head is that much noisier ...
    turns_without_face: Range = (0.5, 1.0)  # ... and follows only this share of the head's turns ...
    drift_without_face: Range = (0.003, 0.012)  # ... and wanders by this (std, widths), half as far sideways
    legs_hidden: float = 0.14  # of whole-body sessions, legs behind a table or a desk
    guess_drift: float = 0.1  # std of slow drift of points that are not in the picture, widths
    guess_bias: float = 0.12
    frozen_share: Range = (0.0, 0.02)  # of frames that repeat the one before (dropped by the camera)


@dataclass(slots=True)
class Tracked:
    """T frames of landmarks as `engines.landmarks.points.Landmarks` defines them."""

    pose: Float32Array  # (T, 33, 4)
    hands: Float32Array  # (T, 2, 21, 3)
    face: Float32Array  # (T, FACE_POINTS, 3)


def observe(
    rng: np.random.Generator,
    posed: Posed,
    truth: Tracked,
    camera: Camera,
    subject: Subject,
    fps: float,
    settings: NoiseSettings | None,
) -> Tracked:
    """What the tracker reports of the true points; without settings only what cannot be seen is taken away."""
    width = camera.focal * subject.shoulder_width / float(np.mean(camera.depth(posed.pose[:, 0])))
    return _Observer(rng, posed, truth, camera, fps, settings or NOISELESS, width).report()


def _draw(rng: np.random.Generator, bounds: Range) -> float:
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high))) if low > 0 else rng.uniform(low, high))


class _Observer:
    def __init__(
        self,
        rng: np.random.Generator,
        posed: Posed,
        truth: Tracked,
        camera: Camera,
        fps: float,
        settings: NoiseSettings,
        width: float,
    ) -> None:
        self.rng, self.posed, self.truth, self.camera = rng, posed, truth, camera
        self.fps, self.settings, self.width = fps, settings, width
        self.count = len(truth.pose)
        self.severity = _draw(rng, settings.severity)
        self.faceless = bool(rng.random() < settings.faces_lost_session)
        self.spell_s, self.drift_s = _draw(rng, settings.hand_spell_s), _draw(rng, settings.drift_s)

    def report(self) -> Tracked:
        truth = self.truth
        hands_near = self._hand_facts()
        pose, hands, face = truth.pose.copy(), truth.hands.copy(), truth.face.copy()
        pose[..., 3] = self._visibility()
        self._shake_pose(pose)
        self._shake_hands(hands)
        self._shake_face(face)
        self._guess(pose)
        self._lose_hands(hands, *hands_near)
        self._lose_face(face, hands_near[0])
        self._steady_head(pose, face)
        seen = Tracked(pose, hands, face)
        self._freeze(seen)
        return seen

    def _white(self, *shape: int) -> Float32Array:
        return self.rng.standard_normal((self.count, *shape), dtype=np.float32)

    def _drift(self, points: int, channels: int = 2) -> Float32Array:
        """(T, points, channels) slow noise of standard deviation 1."""
        slow = wander(self.rng, self.count, self.fps, self.drift_s, channels * points)
        return np.asarray(slow.reshape(self.count, points, channels), np.float32)

    def _shake_pose(self, pose: Float32Array) -> None:
        s, rng, width = self.settings, self.rng, np.float32(self.width)
        parts = (
            (HEAD, s.head),
            (SHOULDERS, s.shoulders),
            (ELBOWS, s.elbows),
            (WRISTS, s.wrists),
            (HIPS, s.hips),
            (KNEES, s.knees),
            (FEET, s.feet),
        )
        if self.faceless:
            self._stiffen(pose[:, HEAD, :3], np.float32(_draw(rng, s.turns_without_face)))
        noise = 0.75 * self._white(33, 3)
        common = 0.66 * self._white(len(parts), 3)
        drift = 0.75 * self._drift(33)
        common_drift = 0.66 * self._drift(len(parts))
        deep = _draw(rng, s.depth)
        slow = _draw(rng, s.drift)
        height = 0.5 * (pose[:, 23, 1] + pose[:, 24, 1])[:, None] - pose[..., 1]
        tilt = _draw(rng, s.depth_tilt if self.camera.framing == WHOLE_BODY else s.depth_tilt_near)
        pose[..., 2] = np.float32(_draw(rng, s.pose_depth)) * pose[..., 2] - np.float32(tilt) * height
        for which, (part, bounds) in enumerate(parts):
            quick = noise[:, part] + common[:, which : which + 1]
            sizes = np.array([_draw(rng, bounds)] * 2 + [deep * (0.15 if part is HIPS else 1.0)], np.float32)
            if part is HEAD and self.faceless:
                sizes[:2] *= np.float32(_draw(rng, s.head_without_face))
            pose[:, part, :3] += quick * sizes * np.float32(self.severity) * width * self._bursts()[:, None, None]
            lazy = np.array([slow, slow], np.float32) * np.float32(2.0 if part in (KNEES, FEET) else 1.0)
            if part is HEAD and self.faceless:
                lazy = np.array([0.5, 1.0], np.float32) * np.float32(_draw(rng, s.drift_without_face))
            wandering = drift[:, part] + common_drift[:, which : which + 1]
            pose[:, part, :2] += wandering * lazy * np.float32(self.severity) * width
        if rng.random() < s.smoothed:
            pose[..., :3] = self._one_euro(pose[..., :3])
        bias = rng.normal(0.0, s.bias, (33, 3)) * np.array([1.0, 1.0, 2.5])
        bias[HEAD] *= 0.35
        pose[..., :3] += (bias * self.width).astype(np.float32)

    @staticmethod
    def _stiffen(head: Float32Array, share: np.float32) -> None:
        """Let the points (T, 11, 3) of a head follow only a share of its turns; it moves along in full."""
        middle = head.mean(axis=1, keepdims=True)
        shape = head - middle
        mean = shape.mean(axis=0)
        head[:] = middle + mean + share * (shape - mean)

    def _one_euro(self, points: Float32Array) -> Float32Array:
        """The filter that the tracker applies to a single person's pose (Casiez et al. 2012): slow points lag more."""
        s = self.settings
        step = 2.0 * np.pi / self.fps
        speed_share = step * s.speed_cutoff_hz / (1.0 + step * s.speed_cutoff_hz)
        per_speed = s.cutoff_per_speed * self.fps / (s.speed_unit * self.width)
        filtered = np.empty_like(points)
        last = filtered[0] = points[0]
        speed = np.zeros_like(points[0])
        for frame in range(1, len(points)):
            raw = points[frame]
            speed = speed + np.float32(speed_share) * (raw - points[frame - 1] - speed)
            turn = np.float32(step) * (np.float32(s.least_cutoff_hz) + np.float32(per_speed) * np.abs(speed))
            last = filtered[frame] = last + turn / (1.0 + turn) * (raw - last)
        return filtered

    def _bursts(self) -> Float32Array:
        s, rng = self.settings, self.rng
        factor = np.ones(self.count)
        rate = _draw(rng, s.burst_rate_hz) * self.severity
        seconds = np.arange(self.count) / self.fps
        for _ in range(int(rng.poisson(rate * self.count / self.fps))):
            at, length = rng.uniform(0.0, self.count / self.fps), _draw(rng, s.burst_s)
            bell = minimum_jerk(1.0 - np.abs(seconds - at) / length)
            factor = np.maximum(factor, 1.0 + (_draw(rng, s.burst_factor) - 1.0) * bell)
        return factor.astype(np.float32)

    def _shake_hands(self, hands: Float32Array) -> None:
        s, rng, width = self.settings, self.rng, np.float32(self.width)
        depth, scale, slow = _draw(rng, s.hand_depth), _draw(rng, s.depth_scale), _draw(rng, s.drift)
        for side in (0, 1):
            sizes = np.full((21, 1), _draw(rng, s.hand) * self.severity, np.float32)
            sizes[4::4] += np.float32(_draw(rng, s.finger_tip) * self.severity)
            points = self._white(21, 3) * sizes * width
            points[..., 2] *= depth
            swell = 1.0 + 0.02 * self.severity * wander(rng, self.count, self.fps, 0.5)[:, 0]
            wrist = hands[:, side, :1].copy()
            local = (hands[:, side] - wrist) * swell[:, None, None].astype(np.float32)
            local[..., 2] *= scale
            wrist[..., 2] = 0.0
            wrist[..., :2] += self._drift(1) * np.float32(slow * self.severity) * width
            hands[:, side] = wrist + local + points * self._bursts()[:, None, None]

    def _shake_face(self, face: Float32Array) -> None:
        s, rng, width = self.settings, self.rng, np.float32(self.width)
        whole = (self._white(1, 3) + self._drift(1, 3)) * np.float32(_draw(rng, s.face) * self.severity)
        points = self._white(face.shape[1], 3) * np.float32(_draw(rng, s.face_point) * self.severity)
        face += (whole + points) * width * self._bursts()[:, None, None]

    def _inside(self, pixels: Float32Array, margin: float = 0.0) -> npt.NDArray[np.bool_]:
        edge = margin * self.width
        return np.asarray(
            (pixels[..., 0] > -edge)
            & (pixels[..., 0] < self.camera.width + edge)
            & (pixels[..., 1] > -edge)
            & (pixels[..., 1] < self.camera.height + edge)
        )

    def _behind_torso(self) -> npt.NDArray[np.bool_]:
        """(T, 2) whether the trunk hides a wrist."""
        pose = self.truth.pose[..., :3]
        hips, shoulders = pose[:, 23:25].mean(axis=1)[:, None], pose[:, 11:13].mean(axis=1)[:, None]
        spine, wrist = shoulders - hips, pose[:, 15:17]
        share = np.clip(np.sum((wrist - hips) * spine, axis=-1) / np.sum(spine * spine, axis=-1), 0.0, 1.1)
        away = wrist - (hips + share[..., None] * spine)
        return np.asarray((away[..., 2] > 0.15 * self.width) & (np.abs(away[..., 0]) < 0.6 * self.width))

    def _visibility(self) -> Float32Array:
        """(T, 33) 0..1: high inside the picture, low outside and behind the trunk."""
        pose = self.truth.pose
        level = np.full((self.count, 33), 4.5)
        level[:, 11:13] += 2.0
        level[:, 23:33] -= 1.0
        level[~self._inside(pose)] -= 6.0
        behind = self._behind_torso()
        level[:, 15:23] -= 3.5 * np.tile(behind, 4)
        if self.rng.random() < self.settings.legs_hidden and self.settings is not NOISELESS:
            level[:, 25:33] -= self.rng.uniform(4.0, 6.5)
        level += 0.6 * wander(self.rng, self.count, self.fps, 0.8, 33) + self.rng.normal(0.0, 0.5, 33)
        return np.asarray(1.0 / (1.0 + np.exp(-level)), np.float32)

    def _guess(self, pose: Float32Array) -> None:
        """Points that the tracker cannot see are guessed: they drift."""
        s = self.settings
        unseen = np.clip((0.6 - pose[..., 3]) / 0.4, 0.0, 1.0)[..., None]
        drift = s.guess_drift * wander(self.rng, self.count, self.fps, 0.9, 66).reshape(self.count, 33, 2)
        limb = s.guess_bias * self.rng.standard_normal((8, 2))
        group = np.array([0] * 11 + [1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 5, 5, 6, 7, 6, 7, 6, 7, 6, 7])
        common = s.guess_drift * wander(self.rng, self.count, self.fps, 1.2, 16).reshape(self.count, 8, 2)
        off = 0.4 * drift + (common + limb)[:, group]
        pose[..., :2] += (unseen * off * self.width).astype(np.float32)

    def _hand_facts(self) -> tuple[Array, Array, Array, Array]:
        """(T, 2) nearness to the face and to the other hand 0..1, speed in widths per s, (2,) pixels long."""
        hands, face = self.truth.hands[..., :2], self.truth.face[..., :2]
        middle = hands[:, :, 9]
        face_middle = face.mean(axis=1)
        to_face = np.linalg.norm(middle - face_middle[:, None], axis=-1) / self.width
        apart = np.linalg.norm(middle[:, 0] - middle[:, 1], axis=-1) / self.width
        near_hand = np.clip((0.5 - apart) / 0.25, 0.0, 1.0)
        step = np.diff(middle, axis=0, prepend=middle[:1])
        speed = np.linalg.norm(step, axis=-1) * self.fps / self.width
        bones = np.linalg.norm(np.diff(hands[:, :, [0, 9, 12]], axis=2), axis=-1).sum(axis=-1)
        near_face = np.clip((0.6 - to_face) / 0.3, 0.0, 1.0)
        return near_face, np.stack((near_hand, near_hand), axis=1), speed, bones.mean(axis=0)

    def _lose_hands(self, hands: Float32Array, near_face: Array, near_hand: Array, speed: Array, pixels: Array) -> None:
        s, rng = self.settings, self.rng
        base, face_loss = _draw(rng, s.hand_lost), _draw(rng, s.hand_lost_near_face)
        hand_loss, fast_loss = _draw(rng, s.hand_lost_near_hand), _draw(rng, s.hand_lost_fast)
        behind = self._behind_torso()
        outside = np.mean(self._inside(self.truth.hands), axis=2) < 0.6
        weaker = int(rng.integers(2))
        for side in (0, 1):
            small = s.hand_lost_small * float(np.clip((40.0 - pixels[side]) / 28.0, 0.0, 1.0)) * rng.uniform(0.3, 1.5)
            chance = base + small + face_loss * near_face[:, side] + fast_loss * np.clip(speed[:, side] / 6.0, 0.0, 1.0)
            chance = chance + hand_loss * near_hand[:, side] * (1.0 if side == weaker else 0.25)
            chance = np.clip(chance, 1e-5, 0.97)
            threshold = np.log(chance / (1.0 - chance)) / 1.702  # logistic stand-in for the normal quantile
            gone = (wander(rng, self.count, self.fps, self.spell_s)[:, 0] < threshold) & (chance > 1e-4)
            hands[gone | outside[:, side] | (behind[:, side] & (rng.random() < 0.95)), side] = np.nan
        swapped = _draw(rng, s.hands_swapped)
        if swapped > 0:
            close = near_hand[:, 0] > 0.5
            mixed = close & (wander(rng, self.count, self.fps, self.spell_s)[:, 0] > 1.7 - 8.0 * swapped)
            hands[mixed] = hands[mixed][:, ::-1]
        if rng.random() < s.hands_lost_session:
            hands[:] = np.nan

    def _lose_face(self, face: Float32Array, near_face: Array) -> None:
        s, rng = self.settings, self.rng
        towards = np.array(self.camera.position) - self.posed.head
        towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
        angle = np.arccos(np.clip(np.sum(self.posed.head_axes[:, :, 2] * towards, axis=-1), -1.0, 1.0))
        covered = np.clip(near_face.sum(axis=1) - 1.2, 0.0, 1.0)
        chance = np.clip(_draw(rng, s.face_lost) + _draw(rng, s.face_covered) * covered, 1e-5, 0.95)
        gone = wander(rng, self.count, self.fps, 0.3)[:, 0] < np.log(chance / (1.0 - chance)) / 1.702
        outside = np.mean(self._inside(self.truth.face), axis=1) < 0.7
        face[(angle > _draw(rng, s.face_lost_yaw)) | outside | (gone & (chance > 1e-4))] = np.nan
        if self.faceless:
            face[:] = np.nan

    @staticmethod
    def _steady_head(pose: Float32Array, face: Float32Array) -> None:
        steady = SteadyHead()
        for at, face_found in enumerate(~np.isnan(face[:, 0, 0])):
            pose[at] = steady.step(pose[at], bool(face_found))

    def _freeze(self, seen: Tracked) -> None:
        share = _draw(self.rng, self.settings.frozen_share)
        stuck = self.rng.random(self.count) < share
        stuck[0] = False
        index = np.arange(self.count)
        index[stuck] = 0
        index = np.maximum.accumulate(index)
        seen.pose, seen.hands, seen.face = seen.pose[index], seen.hands[index], seen.face[index]


_NONE: Range = (0.0, 0.0)
NOISELESS = NoiseSettings(
    severity=_NONE,
    pose_depth=(1.0, 1.0),
    depth_tilt=_NONE,
    depth_tilt_near=_NONE,
    depth_scale=(1.0, 1.0),
    smoothed=0.0,
    bias=0.0,
    burst_rate_hz=_NONE,
    hand_lost=_NONE,
    hand_lost_near_face=_NONE,
    hand_lost_near_hand=_NONE,
    hand_lost_fast=_NONE,
    hand_lost_small=0.0,
    hands_swapped=_NONE,
    hands_lost_session=0.0,
    face_lost=_NONE,
    face_covered=_NONE,
    faces_lost_session=0.0,
    legs_hidden=0.0,
    guess_drift=0.0,
    guess_bias=0.0,
    frozen_share=_NONE,
)
