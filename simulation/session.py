"""One simulated session: a person, a camera, what happens and what a tracker reports of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engines.expressions import MOUTH
from engines.landmarks.lips import lip_gap_of
from engines.landmarks.points import Landmarks
from engines.taxonomy import ACTIONS
from simulation.body import Posed, pose_body
from simulation.camera import UPPER_BODY, Camera, draw_camera
from simulation.emotion import Episode, MoodSettings, draw_mood, show
from simulation.expression import expression_logits
from simulation.geometry import Array
from simulation.interview import BALANCED, TrueAction, write_interview
from simulation.subject import Subject, draw_subject
from simulation.tracker_noise import NoiseSettings, Tracked, observe

Float32Array = npt.NDArray[np.float32]
Timed = TypeVar("Timed", TrueAction, Episode)
BELOW_THE_PICTURE = frozenset({*range(24, 32), 51})  # balanced sessions of the upper body leave these out
VISIBLE = 0.5
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Settings:
    """What to simulate. None: at random."""

    mode: str = BALANCED  # natural, balanced or idle (see interview)
    split: str = "train"  # people, cameras and events of different splits never share a random stream
    noise: NoiseSettings | None = NoiseSettings()  # noqa: RUF009 - immutable; None: the truth itself
    framing: str | None = None  # "whole body" or "upper body"
    longest_s: float = 14.0  # longest duration of an action
    actions: tuple[int, ...] | None = None  # only these
    hand_rest: str | None = None  # see postures.HAND_RESTS
    crossed: bool | None = None  # legs rest crossed
    manner: tuple[float, float] | None = None  # tempo and vigour of all movements (see Subject)
    mood: MoodSettings | None = None  # None: nothing is felt, and nothing of it shows


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """T pictures' landmarks with their ground truth. What was not seen is NaN (see engines.landmarks.points)."""

    times_ns: npt.NDArray[np.int64]  # (T,)
    pose: Float32Array  # (T, 33, 4)
    hands: Float32Array  # (T, 2, 21, 3)
    face: Float32Array  # (T, FACE_POINTS, 3)
    expression: Float32Array  # (T, NUMBERS), see engines.expressions; NaN where the face was not seen
    truth: tuple[TrueAction, ...]
    subject: Subject
    camera: Camera
    fps: float
    episodes: tuple[Episode, ...] = ()  # what is felt, without gaps; empty without a mood

    def __len__(self) -> int:
        return len(self.times_ns)

    def landmarks(self, index: int) -> Landmarks:
        """One picture's landmarks."""
        return Landmarks(
            int(self.times_ns[index]),
            self.camera.height,
            self.camera.width,
            self.pose[index],
            self.hands[index],
            self.face[index],
        )

    def after(self, seconds: float) -> Session:
        """The rest of the session, as if recorded from that moment on: something may have begun before."""
        first = round(seconds * self.fps)
        cut_s = first / self.fps
        return replace(
            self,
            times_ns=self.times_ns[: len(self) - first],
            pose=self.pose[first:],
            hands=self.hands[first:],
            face=self.face[first:],
            expression=self.expression[first:],
            truth=_earlier(self.truth, cut_s),
            episodes=_earlier(self.episodes, cut_s),
        )

    def targets(self, least_seen: float = 0.0) -> npt.NDArray[np.bool_]:
        """(T, 52) which actions run at each picture; without those whose limbs are seen for less than that share."""
        running = np.zeros((len(self), len(ACTIONS)), np.bool_)
        seconds = self.times_ns * 1e-9
        for one in self.truth:
            if one.seen >= least_seen:
                running[(seconds >= one.onset_s) & (seconds <= one.offset_s), one.index] = True
        return running


def _earlier(timed: tuple[Timed, ...], seconds: float) -> tuple[Timed, ...]:
    """The same, so much earlier, less what is over by then."""
    return tuple(
        replace(one, onset_s=one.onset_s - seconds, offset_s=one.offset_s - seconds)
        for one in timed
        if one.offset_s > seconds
    )


def simulate(seed: int, seconds: float, fps: float = 30.0, settings: Settings | None = None) -> Session:
    """A session drawn at random from `seed`; the same arguments give the same bytes."""
    settings = settings or Settings()
    root = np.random.SeedSequence([seed, SPLITS.index(settings.split)])
    person, view, events, tracker = (np.random.default_rng(child) for child in root.spawn(4))
    subject = draw_subject(person)
    if settings.manner is not None:
        subject = replace(subject, tempo=settings.manner[0], vigour=settings.manner[1])
    camera = draw_camera(view, subject, settings.framing)
    wanted = settings.actions
    if wanted is None and settings.mode == BALANCED and camera.framing == UPPER_BODY:
        wanted = tuple(action.index for action in ACTIONS if action.index not in BELOW_THE_PICTURE)
    mood, feelings = None, np.random.default_rng(root.spawn(1)[0])
    if settings.mood is not None:
        mood = draw_mood(feelings, seconds, settings.mood)
    controls, truth = write_interview(
        events,
        subject,
        seconds,
        fps,
        settings.mode,
        longest_s=settings.longest_s,
        wanted=wanted,
        hand_rest=settings.hand_rest,
        crossed=settings.crossed,
        mood=mood,
    )
    if mood is not None:
        show(feelings, mood, controls)
    posed = pose_body(subject, controls)
    seen = observe(tracker, posed, project_body(posed, camera), camera, subject, fps, settings.noise)
    times = np.round(np.arange(controls.count) * (1e9 / fps)).astype(np.int64)
    shown = tuple(replace(one, seen=_seen(one, seen.pose[..., 3], fps)) for one in truth)
    logits = expression_logits(np.random.default_rng(root.spawn(1)[0]), controls, fps)
    numbers = np.concatenate((logits, lip_gap_of(seen.face)[:, None]), axis=1)
    numbers[np.isnan(numbers[:, MOUTH])] = np.nan
    episodes = mood.episodes if mood else ()
    return Session(times, seen.pose, seen.hands, seen.face, numbers, shown, subject, camera, fps, episodes)


def _seen(one: TrueAction, visibility: Float32Array, fps: float) -> float:
    """Share of an action's time in which the wrists and the knees or ankles that it moves are visible."""
    points = [15 + hand for hand in one.hands]
    points += [joint + leg for leg in one.legs for joint in (25, 27)]
    if not points:
        return 1.0
    part = visibility[round(one.onset_s * fps) : round(one.offset_s * fps) + 1, points]
    return float(np.mean(part > VISIBLE))


def project_body(posed: Posed, camera: Camera) -> Tracked:
    """The body in pixels, with z as `Landmarks` defines it and visibility 1."""
    count = len(posed.pose)
    pixels, depth = camera.project(np.concatenate((posed.pose, posed.hands.reshape(count, -1, 3), posed.face), axis=1))
    hips = 0.5 * (depth[:, 23] + depth[:, 24])
    scale = (camera.focal / hips)[:, None]

    def points(part: slice, origin: Array) -> Array:
        return np.concatenate((pixels[:, part], ((depth[:, part] - origin) * scale)[..., None]), axis=-1)

    pose = points(slice(0, 33), hips[:, None])
    left, right = points(slice(33, 54), depth[:, 33:34]), points(slice(54, 75), depth[:, 54:55])
    face = points(slice(75, None), camera.depth(posed.head)[:, None])
    pose = np.concatenate((pose, np.ones((count, 33, 1))), axis=-1)
    return Tracked(*(a.astype(np.float32) for a in (pose, np.stack((left, right), axis=1), face)))
