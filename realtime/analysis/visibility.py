"""Who and what of them was in view: reported at changes, added up for the end of the session.

Everything follows from the frames in the order of their media time: a recording gives the same lines at every speed
that keeps up.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping

from engines.taxonomy import ACTIONS
from realtime.clock import NS_PER_S, SessionStart, to_s
from realtime.messages import BODY_PARTS_SEEN, MOST_PEOPLE, BodyPart, Frame, Framing
from realtime.output.lines import SummaryLine, VisibilityLine, WindowTotals

SETTLE_NS = 3 * NS_PER_S // 2  # time constant of the people count: a person who passes by is no change
SURE = 0.6  # share of the recent past that a number of people needs to be reported
NOTABLE_S = 1.0  # shorter absences of a part make no action unreliable
SLOW, FAST = 9.5, 11.0  # pictures/s below which quick movements are unreliable, above which they are reliable again
QUICK = "nods, shakes and other quick repeated movements"  # what too few pictures alias
NEVER = 0.95  # share of the time with a person in view that counts as all of it


def _of(*parts: str) -> frozenset[int]:
    return frozenset(action.index for action in ACTIONS if action.body_part in parts)


LOST_WITH: dict[BodyPart, str] = {  # what cannot be judged without a part
    "face": "nods and small movements of the head",
    "hands": "upper limb actions and touches",
    "legs": "lower limb and leg-hand actions",
    "feet": "tiptoe, stretching and retracting feet",
}


# Actions that a picture without these parts cannot show; arms may be crossed, akimbo, stretched or behind the back with
# no hand in view.
_WITHOUT_HANDS = frozenset({17, 18, 34, 36, 37})
CANNOT_SHOW: dict[BodyPart, frozenset[int]] = {
    "face": frozenset(),  # the head shows, less exactly
    "hands": _of("upper limb", "body-hand", "head-hand", "leg-hand") - _WITHOUT_HANDS,
    "legs": _of("lower limb", "leg-hand"),
    "feet": frozenset({29, 30, 31, 51}),
}


def lost_with(parts: Iterable[BodyPart], slow: bool = False) -> dict[str, str]:
    """Part out of view → the actions that are unreliable without it; "frames" → those that too few pictures alias."""
    lost: dict[str, str] = {part: LOST_WITH[part] for part in parts}
    return lost | ({"frames": QUICK} if slow else {})


def hidden(unseen: Iterable[BodyPart]) -> list[BodyPart]:
    """The parts worth naming: feet go without saying where the legs are out of view."""
    parts = list(unseen)
    return [part for part in parts if not (part == "feet" and "legs" in parts)]


class Visibility:
    """One camera's. The drain thread gives it frames; others take `pop`, and `finish` and `summary` once it has ended.

    Args:
        parts: the view looks for face, hands, legs and feet.
        max_gap_ns: a longer interval between two frames counts as without a picture.
    """

    def __init__(self, camera_id: int, start: SessionStart, max_gap_ns: int, parts: bool) -> None:
        self._camera_id, self._start, self._max_gap_ns, self._parts = camera_id, start, max_gap_ns, parts
        self._lines: deque[VisibilityLine] = deque()
        self._begun_ns = 0
        self._last: Frame | None = None
        self._shares = [0.0] * (MOST_PEOPLE + 1)  # of the recent past, by people in view
        self._people: int | None = None  # settled
        self._followed_ns: int | None = None  # of the last frame in which a person was followed
        self._since_ns: int | None = None  # media time
        self._person = 0  # how many have been followed
        self._interval_ns = 0.0  # mean of the recent past, between pictures
        self.slow = False  # too few pictures for quick movements
        self._reported: tuple[object, ...] | None = None
        self._total_ns: Counter[str | int] = Counter()  # by people in view, by part out of view; "no picture"

    def take(self, frame: Frame) -> None:
        """Take note of the next frame; one that does not come in order of media time counts for nothing."""
        if self._last is not None and frame.media_ns <= self._last.media_ns:
            return
        if self._last is None:
            self._begun_ns = frame.media_ns
        step_ns = frame.media_ns - self._last.media_ns if self._last else 0
        self._add_up(frame.media_ns)
        self._last = frame
        self._note_followed(frame)
        people = _people(frame.framing)
        if people is None:
            return
        elapsed_ns = frame.media_ns - self._begun_ns
        self._settle(people, step_ns, elapsed_ns)
        self._note_rate(step_ns, elapsed_ns)
        if elapsed_ns >= SETTLE_NS:
            self._report()

    def pop(self) -> list[VisibilityLine]:
        """The lines since the last call, oldest first."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def finish(self, now_ns: int | None) -> None:
        """No frame will come: count the time until now on the media clock, None for recordings, which end with one."""
        if self._last is None:
            return
        if now_ns is not None and now_ns > self._last.media_ns:
            self._add_up(now_ns)
        if self._reported is None and self._people is not None:  # too short to settle
            self._report()

    def summary(self, totals: WindowTotals, baseline: int) -> SummaryLine:
        """What was judged.

        Args:
            totals: of the windows that actions are found in.
            baseline: windows among the judged that the person's rest was measured on.
        """
        looked = self._last is not None and _people(self._last.framing) is not None
        nobody_s, one_s, several_s = (_seconds(self._total_ns[people]) if looked else None for people in range(3))
        out_s: dict[str, float] = {part: _seconds(self._total_ns[part]) for part in BODY_PARTS_SEEN}
        person_ns = sum(self._total_ns[people] for people in range(1, MOST_PEOPLE + 1))
        lost = [
            part
            for part in BODY_PARTS_SEEN
            if self._parts and out_s[part] and (out_s[part] >= NOTABLE_S or self._total_ns[part] >= NEVER * person_ns)
        ]
        spent_ns = sum(self._total_ns[kind] for kind in (*range(MOST_PEOPLE + 1), "not looked for", "no picture"))
        return SummaryLine(
            camera=self._camera_id,
            recorded_s=_seconds(spent_ns),
            windows_due=totals.due,
            judged=totals.judged - baseline,
            baseline=baseline,
            skipped=totals.skipped,
            nobody_s=nobody_s,
            one_s=one_s,
            several_s=several_s,
            no_picture_s=_seconds(self._total_ns["no picture"]),
            out_of_view_s=out_s if looked and self._parts else None,
            unreliable=lost_with(lost, self._total_ns["slow"] >= NOTABLE_S * NS_PER_S),
        )

    def _add_up(self, until_ns: int) -> None:
        """Count the time from the last frame on as what it showed."""
        if self._last is None:
            return
        passed_ns, framing = until_ns - self._last.media_ns, self._last.framing
        if passed_ns > self._max_gap_ns:
            self._total_ns["no picture"] += passed_ns
            return
        people = _people(framing)
        self._total_ns["not looked for" if people is None else people] += passed_ns
        if people:
            for part in framing.unseen:
                self._total_ns[part] += passed_ns
            if self.slow:
                self._total_ns["slow"] += passed_ns

    def _note_followed(self, frame: Frame) -> None:
        followed_ns = frame.framing.followed_ns
        if followed_ns is None:
            return
        if self._followed_ns is None or followed_ns < self._followed_ns:  # another person
            self._person += 1
            self._since_ns = frame.media_ns - followed_ns
        self._followed_ns = followed_ns

    def _settle(self, people: int, step_ns: int, elapsed_ns: int) -> None:
        # At first the mean of all pictures so far: a single first one decides nothing.
        weight = max(-math.expm1(-step_ns / SETTLE_NS), step_ns / elapsed_ns) if elapsed_ns else 1.0
        for number, share in enumerate(self._shares):
            self._shares[number] += ((number == people) - share) * weight
        likeliest = max(range(len(self._shares)), key=self._shares.__getitem__)
        if self._people is None or self._shares[likeliest] > SURE:
            self._people = likeliest

    def _note_rate(self, step_ns: int, elapsed_ns: int) -> None:
        if not 0 < step_ns <= self._max_gap_ns:
            return
        weight = max(-math.expm1(-step_ns / SETTLE_NS), step_ns / elapsed_ns)
        self._interval_ns += (step_ns - self._interval_ns) * weight
        self.slow = self._parts and NS_PER_S / self._interval_ns < (FAST if self.slow else SLOW)

    def _report(self) -> None:
        if self._last is None:
            return
        people, unseen = self._people, self._last.framing.unseen if self._people else ()
        state = people, unseen, self._person if people else 0, self.slow
        if state == self._reported:
            return
        self._reported = state
        origin_ns = self._start.ns or 0
        self._lines.append(
            VisibilityLine(
                self._camera_id,
                _seconds(self._last.media_ns - origin_ns),
                people,
                _seconds(self._since_ns - origin_ns) if people and self._since_ns is not None else None,
                unseen,
                lost_with(unseen, self.slow),
            )
        )


def in_words(line: SummaryLine, baseline_s: float) -> str:
    """The summary in one line for people; `baseline_s`: how long the baseline was to last, 0 without one."""
    person_s = (line.one_s or 0.0) + (line.several_s or 0.0)
    empty = line.nobody_s is not None and not person_s
    causes = ", ".join(f"{count} {cause}" for cause, count in line.skipped.items())
    if not line.windows_due:
        reason = f"no window fell due in {line.recorded_s:.1f} s"
    elif sum(line.skipped.values()) == line.windows_due:
        reason = f"all {line.windows_due} windows were skipped ({causes})"
    elif not line.judged and line.baseline:
        reason = f"the baseline of {baseline_s:g} s never finished"
    elif empty:
        reason = f"nobody was in view for {line.nobody_s:.1f} s"
    else:
        reason = ""
    if reason:
        return f"nothing was judged: {reason}"
    texts = [f"judged {line.judged} of {line.windows_due} windows" + (f" ({causes} skipped)" if causes else "")]
    for seconds, text in (
        (line.nobody_s, "nobody in view"),
        (line.several_s, "several people in view"),
        (line.no_picture_s, "no picture"),
    ):
        if seconds:
            texts.append(f"{text} for {seconds:.1f} s")
    return "; ".join(texts + _unreliable(line.out_of_view_s or {}, person_s, line.unreliable))


def _unreliable(out_s: Mapping[str, float], person_s: float, lost: Mapping[str, str]) -> list[str]:
    texts = []
    for part, actions in lost.items():
        if part == "frames":
            texts.append(f"fewer than {SLOW:.0f} frames/s: {actions} unreliable")
            continue
        if part == "feet" and "legs" in lost and out_s["feet"] - out_s["legs"] < NOTABLE_S:
            continue
        if out_s[part] >= NEVER * person_s:
            texts.append(f"{part} never in view: {actions} unreliable")
        else:
            texts.append(f"{part} out of view for {out_s[part]:.1f} s: {actions} unreliable then")
    return texts


def _people(framing: Framing) -> int | None:
    """How many are in view, `MOST_PEOPLE` for more; None where the view does not look for people."""
    if framing.people is not None:
        return framing.people
    return None if framing.person_found is None else int(framing.person_found)


def _seconds(ns: int) -> float:
    return round(to_s(ns), 3)
