"""From controls to a body in space: spine, head, arms and legs, then MediaPipe's points on it.

The spine is two rigid halves; arms and legs are two-bone chains solved in closed form,
so that hands and feet stay where
they are put whatever the torso does. Bone lengths never change within a session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.landmarks.points import HAND_POINTS, POSE_POINTS
from simulation.anchors import ANCHORS, CROSS_ANCHORS, Frames
from simulation.controls import Controls
from simulation.face import POSE_LEFT, POSE_NOSE, face_points
from simulation.geometry import Array, blend_towards, minimum_jerk, rotation, turn, two_bones, unit
from simulation.hand import hand_axes, hand_joints
from simulation.subject import Subject

WRIST_LIMIT = 1.2  # rad between forearm and hand
HEAD_LIMITS = {"head_yaw": 1.35, "head_pitch": 0.95, "head_roll": 0.75}  # rad either way
HEAD_ON_PIVOT = np.array([0.0, 0.025, 0.018])  # m from the topmost joint of the neck to the face's origin
DEFAULT_SWIVEL = 0.32


_Arm = tuple[Array, Array, Array, Array]


@dataclass(frozen=True, slots=True)
class Posed:
    """Points in space, metres, for T frames."""

    pose: Array  # (T, 33, 3)
    hands: Array  # (T, 2, 21, 3)
    face: Array  # (T, FACE_POINTS, 3)
    head_axes: Array  # (T, 3, 3)
    head: Array  # (T, 3) the face's origin
    missed: Array  # (T, 2) metres by which a hand stays short of where it should be (out of reach)


@dataclass(slots=True)
class _Foot:
    ankle: Array
    heel: Array
    toe: Array


def pose_body(subject: Subject, controls: Controls) -> Posed:
    """Every point of the body at every frame."""
    frames = _spine(subject, controls)
    feet = _legs(subject, controls, frames)
    solved = [_arm(subject, controls, frames, hand, cross=False) for hand in (0, 1)]
    for hand in (0, 1):
        if any(reach.hand == hand and reach.anchor in CROSS_ANCHORS for reach in controls.reaches):
            frames.elbows, frames.wrists = [arm[0] for arm in solved], [arm[1] for arm in solved]
            solved[hand] = _arm(subject, controls, frames, hand, cross=True)
    return _points(subject, controls, frames, feet, solved)


def _spine(subject: Subject, controls: Controls) -> Frames:
    get = controls.channel
    lean, side, twist, slouch = get("lean"), get("side"), get("twist"), get("slouch")
    pelvis = np.stack((get("pelvis_x"), get("pelvis_y") - 0.012 * np.clip(slouch, 0, 2), get("pelvis_z")), axis=-1)
    yaw = get("pelvis_yaw")
    pelvis_axes = rotation(yaw + 0.12 * twist, 0.25 * lean - 0.12 * slouch, -0.25 * side)
    lumbar_axes = rotation(yaw + 0.4 * twist, 0.8 * lean - 0.36 * slouch, -0.7 * side)
    thorax_axes = rotation(yaw + twist, lean + 0.46 * slouch, -side)
    up = np.array([0.0, 0.5 * subject.torso, 0.0])
    thorax = pelvis + turn(lumbar_axes, up) + turn(thorax_axes, up)
    limited = {name: np.clip(get(name), -limit, limit) for name, limit in HEAD_LIMITS.items()}
    head_yaw, head_pitch, head_roll = limited["head_yaw"], limited["head_pitch"], limited["head_roll"]
    bend = lean + 0.46 * slouch
    neck_axes = rotation(
        yaw + 0.95 * twist + 0.3 * head_yaw, 0.22 + 0.6 * bend + 0.45 * head_pitch, -0.7 * side + 0.5 * head_roll
    )
    head_axes = rotation(yaw + 0.85 * twist + head_yaw, 0.3 * lean + head_pitch, -0.45 * side + head_roll)
    scale = subject.scale
    neck_base = thorax + turn(thorax_axes, np.array([0.0, 0.03, -0.03]) * scale)
    pivot = neck_base + turn(neck_axes, np.array([0.0, subject.neck, 0.0]))
    pivot = pivot + turn(thorax_axes, np.array([0.0, 0.0, 1.0])) * get("head_forward")[:, None]
    head = pivot + turn(head_axes, HEAD_ON_PIVOT * subject.head)
    hips, shoulders = [], []
    protract = get("protract")
    for sign, shrug in zip((1.0, -1.0), controls.pair("shrug"), strict=True):
        inward = 0.35 * np.abs(protract) + 0.2 * np.abs(shrug)
        local = np.stack((sign * (0.5 * subject.shoulder_width - inward), shrug, protract), axis=-1)
        shoulders.append(thorax + (thorax_axes @ local[..., None])[..., 0])
        hips.append(pelvis + turn(pelvis_axes, np.array([sign * 0.5 * subject.hip_width, 0.0, 0.0])))
    return Frames(
        subject,
        pelvis,
        pelvis_axes,
        thorax,
        thorax_axes,
        neck_base,
        neck_axes,
        head,
        head_axes,
        shoulders,
        hips,
        [],
        [],
        [],
        [],
    )


def _legs(subject: Subject, controls: Controls, frames: Frames) -> list[_Foot]:
    chains = [_leg_targets(subject, controls, leg) for leg in (0, 1)]
    solved: list[tuple[Array, Array]] = []
    for leg, (ankle, pole, _, _) in enumerate(chains):
        solved.append(two_bones(frames.hips[leg], ankle, subject.thigh, subject.shank, pole))
    for leg in (0, 1):  # legs that rest on the other one
        ankle, pole, pitch, yaw = chains[leg]
        layers = [step for step in controls.steps if step.leg == leg]
        if not layers:
            continue
        ankle, pole, pitch, yaw = ankle.copy(), pole.copy(), pitch.copy(), yaw.copy()
        other_knee = solved[1 - leg][0]
        for step in layers:
            part, weight, sign = slice(step.start, step.start + len(step.weight)), step.weight, 1.0 - 2.0 * leg
            mirror = np.array([sign, 1.0, 1.0])
            there = step.ankle * mirror * subject.scale
            if step.anchor == "other_knee":
                there = there + other_knee[part]
            else:
                there = there + np.array([0.0, subject.ankle - subject.seat, 0.0])
            detour = (4.0 * weight * (1.0 - weight))[:, None] * step.arc * mirror
            ankle[part] = blend_towards(ankle[part], there, weight) + detour
            pole[part] = unit(blend_towards(pole[part], np.broadcast_to(unit(step.pole * mirror), there.shape), weight))
            pitch[part] += weight * (step.pitch - pitch[part])
            yaw[part] += weight * (step.yaw - yaw[part])
        chains[leg] = (ankle, pole, pitch, yaw)
        solved[leg] = two_bones(frames.hips[leg], ankle, subject.thigh, subject.shank, pole)
    feet = []
    for leg, ((knee, ankle), (_, _, pitch, yaw)) in enumerate(zip(solved, chains, strict=True)):
        frames.knees.append(knee)
        frames.ankles.append(ankle)
        axes = rotation(yaw * (1.0 - 2.0 * leg), pitch, np.zeros_like(pitch))
        sole = 0.8 * subject.ankle
        heel = ankle + turn(axes, np.array([0.0, -sole, -0.22 * subject.foot]))
        toe = ankle + turn(axes, np.array([0.0, -sole, 0.74 * subject.foot]))
        feet.append(_Foot(ankle, heel, toe))
    return feet


def _leg_targets(subject: Subject, controls: Controls, leg: int) -> tuple[Array, Array, Array, Array]:
    """Where one ankle is, where its knee points, foot pitch and yaw, for a foot on the floor (T, ...)."""
    sign = 1.0 - 2.0 * leg
    heel, toe = np.clip(controls.pair("heel")[leg], 0, 1.2), np.clip(controls.pair("toe")[leg], 0, 0.8)
    x = sign * (0.58 * subject.hip_width + controls.pair("foot_x")[leg])
    z = 0.96 * subject.thigh + controls.pair("foot_z")[leg]
    height, ball, back = subject.ankle, 0.5 * subject.foot, 0.22 * subject.foot
    rise = height * np.cos(heel) + ball * np.sin(heel) - height + back * np.sin(toe) + height * (np.cos(toe) - 1.0)
    ahead = height * np.sin(heel) + ball * (1.0 - np.cos(heel)) - height * np.sin(toe) - back * (1.0 - np.cos(toe))
    ankle = np.stack((x, height - subject.seat + rise + controls.pair("foot_y")[leg], z + ahead), axis=-1)
    out = controls.pair("knee_out")[leg]
    pole = unit(np.stack((sign * out, np.full_like(out, 0.6), np.full_like(out, 1.0)), axis=-1))
    return ankle, pole, heel - toe, 0.12 + controls.pair("foot_yaw")[leg]


def _arm(subject: Subject, controls: Controls, frames: Frames, hand: int, cross: bool) -> _Arm:
    """(elbow, wrist, joints (T, 21, 3), metres missed (T,)) of one arm.

    Without `cross`, layers that need the other arm are left out.
    """
    sign, right = 1.0 - 2.0 * hand, hand == 1
    mirror = np.array([sign, 1.0, 1.0])
    count = controls.count
    place, contact = np.zeros((count, 3)), np.zeros((count, 3))
    fingers, palm = np.zeros((count, 3)), np.zeros((count, 3))
    shape, swivel = np.zeros_like(controls.shape_offset[hand]), np.full(count, DEFAULT_SWIVEL)
    wrist = np.zeros((count, 3))
    for reach in controls.reaches:
        if reach.hand != hand or (reach.anchor in CROSS_ANCHORS and not cross):
            continue
        weight = reach.weight
        part = slice(reach.start, reach.start + len(weight))
        near = frames.cut(part.start, part.stop)
        origin, axes = ANCHORS[reach.anchor](near, hand)
        there = origin + (axes @ (reach.offset * mirror * subject.scale)[..., None])[..., 0]
        ahead = unit((axes @ (reach.fingers * mirror)[..., None])[..., 0])
        facing = unit((axes @ (reach.palm * mirror)[..., None])[..., 0])
        local = hand_joints(reach.shape, subject.hand)[:, list(reach.contact)].mean(axis=1)
        target = there - (hand_axes(ahead, facing, right) @ local[..., None])[..., 0]
        detour = (4.0 * weight * (1.0 - weight))[:, None] * turn(near.thorax_axes, reach.arc * mirror)
        wrist[part] = blend_towards(wrist[part], target, weight) + detour
        contact[part] = blend_towards(contact[part], local, weight)
        fingers[part] = blend_towards(fingers[part], ahead, weight)
        palm[part] = blend_towards(palm[part], facing, weight)
        shape[part] = blend_towards(shape[part], reach.shape, weight)
        if reach.swivel is not None:
            swivel[part] += weight * (reach.swivel - swivel[part])
    fingers, palm = unit(fingers), unit(palm)
    axes = hand_axes(fingers, palm, right)
    place = wrist + (axes @ contact[..., None])[..., 0] + turn(frames.thorax_axes, controls.hand_offset[hand] * mirror)
    shoulder = frames.shoulders[hand]
    raised = minimum_jerk((wrist[:, 1] - shoulder[:, 1] + 0.22) / 0.3)  # the elbow of a raised hand is in front
    local_pole = np.stack((sign * (0.15 + swivel), -1.0 + 0.8 * swivel, 0.45 * raised - 0.35), axis=-1)
    pole = (frames.thorax_axes @ local_pole[..., None])[..., 0]
    wrist = place - (axes @ contact[..., None])[..., 0]
    for _ in range(2):  # a wrist bends only so far: turn the hand, keep what it touches
        elbow, end = two_bones(shoulder, wrist, subject.upper_arm, subject.forearm, pole)
        fingers = _limit(fingers, unit(end - elbow))
        axes = hand_axes(fingers, palm, right)
        wrist = place - (axes @ contact[..., None])[..., 0]
    wanted = wrist
    elbow, wrist = two_bones(shoulder, wanted, subject.upper_arm, subject.forearm, pole)
    missed = np.sqrt(np.sum((wanted - wrist) ** 2, axis=-1))
    joints = hand_joints(np.clip(shape + controls.shape_offset[hand], -0.05, 1.05), subject.hand)
    return elbow, wrist, wrist[:, None] + joints @ axes.swapaxes(-1, -2), missed


def _limit(fingers: Array, forearm: Array) -> Array:
    """Fingers' direction, at most WRIST_LIMIT away from the forearm's."""
    cosine = np.sum(fingers * forearm, axis=-1, keepdims=True)
    across = unit(fingers - cosine * forearm)
    limited = forearm * np.cos(WRIST_LIMIT) + across * np.sin(WRIST_LIMIT)
    return np.asarray(np.where(cosine < np.cos(WRIST_LIMIT), limited, fingers))


def _points(subject: Subject, controls: Controls, frames: Frames, feet: list[_Foot], arms: list[_Arm]) -> Posed:
    count, get = controls.count, controls.channel
    pose, hands = np.zeros((count, POSE_POINTS, 3)), np.zeros((count, 2, HAND_POINTS, 3))
    size = np.array([subject.face_width, 1.0, 1.0]) * subject.head
    to_world = frames.head_axes.swapaxes(-1, -2)
    face = face_points(
        get("blink"),
        get("squint"),
        get("brow"),
        get("mouth_open"),
        get("smile"),
        get("pout"),
        subject.face_width,
        controls.expression,
        controls.face_shape,
    )
    left = POSE_LEFT * size * 0.01
    right = left * np.array([-1.0, 1.0, 1.0])
    head_points = np.stack(
        (
            POSE_NOSE * size * 0.01,
            left[0],
            left[1],
            left[2],
            right[0],
            right[1],
            right[2],
            left[3],
            right[3],
            left[4],
            right[4],
        )
    )
    pose[:, :11] = frames.head[:, None] + head_points @ to_world
    for side in (0, 1):
        elbow, wrist, joints, _ = arms[side]
        hands[:, side] = joints
        pose[:, 11 + side] = frames.shoulders[side]
        pose[:, 13 + side], pose[:, 15 + side] = elbow, wrist
        pose[:, 17 + side], pose[:, 19 + side] = joints[:, 17], joints[:, 5]
        pose[:, 21 + side] = 0.5 * (joints[:, 2] + joints[:, 3])
        pose[:, 23 + side], pose[:, 25 + side] = frames.hips[side], frames.knees[side]
        pose[:, 27 + side] = feet[side].ankle
        pose[:, 29 + side], pose[:, 31 + side] = feet[side].heel, feet[side].toe
    world_face = frames.head[:, None] + (face * subject.head) @ to_world
    return Posed(pose, hands, world_face, frames.head_axes, frames.head, np.stack((arms[0][3], arms[1][3]), axis=1))
