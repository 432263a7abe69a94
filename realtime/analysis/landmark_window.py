"""Landmarks to windows of steps at a fixed rate."""

from __future__ import annotations

import bisect
from functools import cache

import numpy as np

from engines.landmarks.steps import blend, neighbours
from engines.taxonomy import ACTIONS
from events.types import Stamps
from realtime.analysis.visibility import CANNOT_SHOW
from realtime.analysis.window import SlidingWindow
from realtime.clock import NS_PER_S
from realtime.messages import BodyPart, BoolArray, LandmarkWindow, Window

LEAST_NS = NS_PER_S  # of a session, before its first window is due


class SlidingLandmarks(SlidingWindow):
    """Cuts windows of `steps` steps. The k-th ends at `first picture + LEAST_NS + k · hop`, both in whole steps.

    A step lies between the pictures around it, in proportion; what one of them lacks is taken from the nearer one.
    Where no picture stands for a step (before the first one, and in gaps) it is empty and marked, so a window may begin
    before the session and reach over a gap. One that ends in a gap is skipped.
    Everything depends on media times alone, so a recording gives the same windows at any speed.
    """

    def __init__(self, camera_id: int, steps: int, span_ns: int, hop_ns: int, max_gap_ns: int) -> None:
        self.step_ns = span_ns // steps
        hop_ns = max(round(hop_ns / self.step_ns), 1) * self.step_ns
        super().__init__(camera_id, steps, span_ns, hop_ns, max_gap_ns)
        self._lead_ns = min(round(LEAST_NS / self.step_ns), steps) * self.step_ns

    def finish(self, received_ns: int) -> list[Window]:
        """The recording is over: one more window, up to its last step.

        A recording shorter than half of what the first window waits for is not judged, and counts as skipped.
        """
        if self.start_ns is None:
            return []
        end_ns = self.start_ns + (self._times_ns[-1] - self.start_ns) // self.step_ns * self.step_ns
        if self.due and end_ns <= self._end_ns() - self._hop_ns:
            return []
        self.due += 1
        self._next += 1
        if 2 * (end_ns - self.start_ns) < self._lead_ns:
            self.skipped.add("short")
            return []
        return [self._cut(end_ns, self._largest_gap_ns(end_ns - self._span_ns, end_ns), received_ns)]

    def _end_ns(self) -> int:
        return (self.start_ns or 0) + self._lead_ns + self._next * self._hop_ns

    def _fault(self, end_ns: int, largest_gap_ns: int) -> str:  # noqa: ARG002 - its steps are empty in a gap
        return ""

    def _cut(
        self,
        end_ns: int,
        largest_gap_ns: int,
        due_ns: int,
        earlier_ns: int = 0,  # noqa: ARG002 - no picture is held
        recorded_end_ns: int | None = None,  # noqa: ARG002
    ) -> LandmarkWindow:
        moments_ns = end_ns - self.step_ns * np.arange(len(self._offsets_ns) - 1, -1, -1, dtype=np.int64)
        origin_ns = self.start_ns or 0  # the same for every window, and so is what rounding does
        times_s = np.array([time_ns - origin_ns for time_ns in self._times_ns], np.float64) * 1e-9
        before, after, share, there = neighbours(times_s, (moments_ns - origin_ns).astype(np.float64) * 1e-9)
        pictures = np.stack([frame.landmarks for frame in self._frames if frame.landmarks is not None])
        frames = [self._frames[at] for at in before]
        newest = bisect.bisect_right(self._times_ns, end_ns) - 1
        stamped = self._frames[newest]
        return LandmarkWindow(
            camera_id=self._camera_id,
            index=self._next - 1,
            start_ns=end_ns - self._span_ns,
            end_ns=end_ns,
            frames=blend(pictures[before], pictures[after], share) * there[:, None, None],
            frame_ids=np.array([frame.frame_id for frame in frames], np.int64),
            times_ns=np.array([frame.media_ns for frame in frames], np.int64),
            largest_gap_ns=largest_gap_ns,
            stamps=Stamps(*stamped.stamps, self._received_ns[newest], due_ns),
            moments_ns=moments_ns,
            seen=there > 0.0,
            shown=np.stack([_shown(frame.framing.person_found, frame.framing.unseen) for frame in frames]),
        )


@cache
def _shown(person_found: bool | None, unseen: tuple[BodyPart, ...]) -> BoolArray:
    """(52,) actions that such a picture can show."""
    shown = np.full(len(ACTIONS), person_found is not False)
    for part in unseen:
        shown[list(CANNOT_SHOW[part])] = False
    shown.flags.writeable = False
    return shown
