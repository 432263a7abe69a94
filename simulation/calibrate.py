"""The calibration of a bundle, fitted on simulated validation sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from engines.bundle import Bundle
from engines.card import Calibration
from events.fit_emotion import Agreement, JudgedEmotion, fit_counts, fit_emotion_temperature, follow
from events.fit_thresholds import PAIRS, Fit, fit_thresholds
from events.settings import EmotionSettings
from simulation.judge_emotion import judge_emotions
from simulation.windows import FIT_SPLIT, fitting_sessions

Report = Callable[[str, int, int], None]  # stage, done, of how many
EMOTION_SESSION_S = 120.0


class ThresholdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What thresholds are fitted on, and to what."""

    minutes: Annotated[int, Meta(ge=1)] = 120  # of balanced sessions; half as many of natural ones
    idle_minutes: Annotated[int, Meta(ge=1)] = 480  # of sitting still
    false_per_hour: Annotated[float, Meta(ge=0.0)] = 3.0  # most false events while sitting still, all actions together
    precision: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = None  # of each action's events, instead of that budget
    seed: Annotated[int, Meta(ge=0)] = 0


def thresholds_for(
    bundle: Bundle, settings: ThresholdSettings, threads: int, workers: int, report: Report
) -> tuple[Calibration, Fit]:
    """The bundle's calibration with fitted thresholds.

    Raises:
        BadInput: not a model of the landmark view, or no thresholds keep to the budget.
    """
    total = settings.minutes + max(1, settings.minutes // 2) + settings.idle_minutes
    done = iter(range(1, total + 1))
    busy, idle = fitting_sessions(
        bundle,
        settings.minutes,
        settings.idle_minutes,
        settings.seed,
        threads,
        workers,
        lambda: report("sessions", next(done), total),
    )
    fit = fit_thresholds(
        bundle,
        busy,
        idle,
        settings.false_per_hour,
        lambda tried: report("thresholds", tried, PAIRS),
        workers,
        settings.precision,
    )
    goal = f"at most {settings.false_per_hour:g} false/h idle"
    if settings.precision is not None:
        goal = f"for a precision of {settings.precision:g}"
    basis = (
        f"thresholds: {fit.busy.hours:.1f} h busy, {fit.idle.hours:.1f} h idle simulated validation sessions, "
        f"seed {settings.seed}, {goal}"
    )
    calibration = bundle.card.calibration
    if calibration.temperature != 1.0:
        basis = calibration.basis.partition(";")[0] + "; " + basis
    return msgspec.structs.replace(calibration, enter=fit.enter, exit=fit.exit, basis=basis), fit


def describe_thresholds(fit: Fit) -> str:
    """What thresholds do on the sessions they are fitted on, in a line."""
    right, wrong = fit.busy.true_positives.sum(), fit.busy.false_positives.sum()
    return (
        f"event F1 {fit.busy.f1_macro:.3f} macro over actions, {right / max(1, right + wrong):.1%} of the events "
        f"right, {fit.idle.false_per_hour:.1f} false events an hour idle, all on the sessions that the thresholds were "
        "chosen on"
    )


def emotion_calibration(bundle: Bundle, minutes: int, seed: int, threads: int) -> tuple[Calibration, Agreement]:
    """Temperature and counts per second of an emotion model, and how its estimate does on held-out sessions.

    Raises:
        BadInput: not an emotion model of the landmark view.
    """
    settings = EmotionSettings()

    def judged(split: str) -> list[JudgedEmotion]:
        count = max(1, minutes // 2)
        return list(judge_emotions(bundle, split, count, EMOTION_SESSION_S, seed, settings, threads))

    fit_on, held_out = judged(FIT_SPLIT), judged("test")
    temperature = round(fit_emotion_temperature(fit_on), 4)
    counts = round(fit_counts(fit_on, temperature, settings), 4)
    basis = f"temperature and counts per second: {minutes} min of simulated emotional validation sessions, seed {seed}"
    calibration = msgspec.structs.replace(
        bundle.card.calibration, activation="softmax", temperature=temperature, counts_per_s=counts, basis=basis
    )
    return calibration, follow(held_out, temperature, counts, settings)


def describe_emotion(calibration: Calibration, agreement: Agreement) -> str:
    """What a calibrated emotion model does on held-out sessions, in a line."""
    return (
        f"temperature {calibration.temperature:.3f}, {calibration.counts_per_s:.2f} counts per second; on held-out "
        f"sessions the 95 % intervals, {agreement.width:.2f} wide, cover {agreement.coverage:.1%} of the true shares, "
        f"{agreement.top:.1%} of dominant emotions are ranked first, {agreement.abstained:.1%} of moments are "
        "abstained from"
    )
