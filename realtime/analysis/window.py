"""Frames to windows, cut by time.

MA-52 models saw 8 frames spread over a whole clip (1.9 s on average). Eight *consecutive* frames would be out of
distribution, so a window is `length` frames spaced `span / length` apart, whatever the frame rate is.
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import fields

import numpy as np

from engines.expressions import NUMBERS
from engines.landmarks.steps import CHANNELS, POINTS, at_steps, frames_shown
from engines.specs.base import OFFICIAL_SPAN_S
from events.types import Stamps
from realtime.clock import NS_PER_S
from realtime.counts import Counts
from realtime.messages import EmotionWindow, Float32Array, Frame, Window

NO_PICTURE = np.zeros((1, 1, 3), np.uint8)  # the body of frames that have none, where a window wants none
NO_LANDMARKS = np.zeros((0, POINTS, CHANNELS), np.float32)
NO_NUMBERS = np.zeros(NUMBERS, np.float32)
MOST_FRAMES = 512  # in one window (270 frames/s over 1.9 s): a source that is faster, or says so, is thinned


class SlidingWindow:
    """Cuts one camera's frames into windows of `span_ns` that are due every `hop_ns`.

    The k-th window ends at `first frame + span + k · hop` and covers the span before that. Its i-th frame is the newest
    one at or before `start + (i + 1) · span / length`: the official spacing, but the last frame of each segment
    instead of the middle one, so that a live window holds the newest frame and is ready span/16 sooner.

    A window is due as soon as a frame at or past its end shows that no earlier one can come. It depends on media times
    alone, so a recording gives the same windows at any speed. A due window is returned, or counted in `skipped`.
    """

    def __init__(self, camera_id: int, length: int, span_ns: int, hop_ns: int, max_gap_ns: int) -> None:
        if length < 1 or span_ns < max(2, length) or hop_ns < 1 or max_gap_ns < 1:
            raise ValueError(
                f"expected length >= 1, span >= 2 and >= length, hop and gap >= 1 ns, got {length}, "
                f"{span_ns}, {hop_ns}, {max_gap_ns}"
            )
        self._camera_id = camera_id
        self._span_ns, self._hop_ns = span_ns, hop_ns
        self._max_gap_ns = min(max_gap_ns, span_ns - 1)  # a window without any frame is a gap, whatever is allowed
        self._offsets_ns = [(i + 1) * span_ns // length for i in range(length)]  # sample points after the start
        self._frames: list[Frame] = []  # by media time, from the last one before the next window on
        self._times_ns: list[int] = []
        self._received_ns: list[int] = []
        self._next = 0  # index of the next window to fall due
        self.start_ns: int | None = None  # media time of the first frame
        self.due = 0
        self.late = 0  # frames refused because they came out of order
        self.thinned = 0  # frames refused because the one before was too near: bounds memory
        self.skipped = Counts()

    @property
    def centre_shift_ns(self) -> int:
        """How much later than the middle of a window its frames are centred: half a segment."""
        return self._span_ns // (2 * len(self._offsets_ns))

    def push(self, frame: Frame, received_ns: int) -> list[Window]:
        """Take one frame; return the windows that it makes due, oldest first.

        Frames must come in order of media time; one that does not is refused and counted in `late`. One that comes
        less than a `MOST_FRAMES`-th of the span after the last is refused and counted in `thinned`.
        """
        if self._times_ns and frame.media_ns <= self._times_ns[-1]:
            self.late += 1
            return []
        if self._times_ns and frame.media_ns - self._times_ns[-1] < self._span_ns // MOST_FRAMES:
            self.thinned += 1
            return []
        if self.start_ns is None:
            self.start_ns = frame.media_ns
        self._frames.append(frame)
        self._times_ns.append(frame.media_ns)
        self._received_ns.append(received_ns)
        windows: list[Window] = []
        while self._end_ns() <= frame.media_ns:  # this frame lies at or past the end: the window has all it will get
            self._take_due(received_ns, windows, frame.media_ns)
        self._forget()
        return windows

    def finish(self, received_ns: int) -> list[Window]:
        """The recording is over. One shorter than a window is still judged, amid pictures of its beginning and its end.

        Models speak of the middle of their pictures, so the first is held before and the last one after, equally long.
        Held pictures are no evidence: the window says where the recording ended.
        One shorter than half a window, or than an MA-52 clip where that is less, is not judged, and counts as skipped.
        """
        if self.start_ns is None or self.due:
            return []
        self.due += 1
        if self._times_ns[-1] - self.start_ns < min(self._span_ns / 2, OFFICIAL_SPAN_S * NS_PER_S):
            self.skipped.add("short")
            return []
        end_ns = self._end_ns()
        self._next += 1
        lasted_ns = self._times_ns[-1] - self.start_ns
        earlier_ns = (self._span_ns - lasted_ns) // 2 + self.centre_shift_ns
        largest_gap_ns = self._largest_gap_ns(end_ns - self._span_ns, end_ns)
        return [self._cut(end_ns, largest_gap_ns, received_ns, earlier_ns, self._times_ns[-1])]

    def _end_ns(self) -> int:
        return (self.start_ns or 0) + self._span_ns + self._next * self._hop_ns

    def _take_due(self, received_ns: int, windows: list[Window], now_ns: int) -> None:
        end_ns = self._end_ns()
        if end_ns - self._times_ns[bisect.bisect_right(self._times_ns, end_ns) - 1] > self._max_gap_ns:
            # No frame for too long before this end, nor before any later end up to now: pass over all of them at once.
            count = (now_ns - 1 - end_ns) // self._hop_ns + 1
            self._next += count
            self.due += count
            self._skip("gap", count)
            return
        self._next += 1
        self.due += 1
        largest_gap_ns = self._largest_gap_ns(end_ns - self._span_ns, end_ns)
        cause = self._fault(end_ns, largest_gap_ns)
        if cause:
            self._skip(cause)
            return
        windows.append(self._cut(end_ns, largest_gap_ns, received_ns))

    def _fault(self, end_ns: int, largest_gap_ns: int) -> str:  # noqa: ARG002 - for those that know more of the time
        """Why the window that ends there is skipped; empty where it is not."""
        return "gap" if largest_gap_ns > self._max_gap_ns else ""

    def _skip(self, cause: str, count: int = 1) -> None:
        self.skipped.add(cause, count)

    def _largest_gap_ns(self, start_ns: int, end_ns: int) -> int:
        first, last = bisect.bisect_right(self._times_ns, start_ns), bisect.bisect_right(self._times_ns, end_ns)
        edges = [start_ns, *self._times_ns[first:last], end_ns]
        return max(later - earlier for earlier, later in itertools.pairwise(edges))

    def _cut(
        self, end_ns: int, largest_gap_ns: int, due_ns: int, earlier_ns: int = 0, recorded_end_ns: int | None = None
    ) -> Window:
        """The window that ends at `end_ns`.

        Args:
            earlier_ns: how much before its sample points its frames are taken, none before the first.
            recorded_end_ns: where the recording ended, if before the window.
        """
        start_ns = end_ns - self._span_ns
        points_ns = [start_ns + offset_ns - earlier_ns for offset_ns in self._offsets_ns]
        chosen = [max(0, bisect.bisect_right(self._times_ns, point_ns) - 1) for point_ns in points_ns]
        frames = [self._frames[at] for at in chosen]
        newest = frames[-1]
        return self._made(
            Window(
                camera_id=self._camera_id,
                index=self._next - 1,
                start_ns=start_ns,
                end_ns=end_ns,
                frames=np.stack([NO_PICTURE if frame.body is None else frame.body for frame in frames]),  # (T, S, S, 3)
                frame_ids=np.array([frame.frame_id for frame in frames], np.int64),
                times_ns=np.array([frame.media_ns for frame in frames], np.int64),
                largest_gap_ns=largest_gap_ns,
                stamps=Stamps(*newest.stamps, self._received_ns[chosen[-1]], due_ns),
                recorded_end_ns=recorded_end_ns,
            ),
            frames,
        )

    def _made(self, window: Window, frames: list[Frame]) -> Window:  # noqa: ARG002 - for those that take more of them
        return window

    def _forget(self) -> None:
        """Drop frames older than the last one before the next window's start: memory stays at one span."""
        keep = bisect.bisect_right(self._times_ns, self._end_ns() - self._span_ns) - 1
        if keep > 0:
            del self._frames[:keep], self._times_ns[:keep], self._received_ns[:keep]


class SlidingEmotionWindow(SlidingWindow):
    """The same for the emotion estimate: windows that carry what was seen of the face, and whether anybody was seen."""

    def __init__(
        self,
        camera_id: int,
        length: int,
        span_ns: int,
        hop_ns: int,
        max_gap_ns: int,
        face_size: int = 0,
        steps: int = 0,
    ) -> None:
        """What a window carries.

        Args:
            face_size: side F of the face images, 0 for none; frames without one are black and marked.
            steps: of landmarks, 0 for none, in place of the body's pictures; empty where nothing was found.
        """
        super().__init__(camera_id, length, span_ns, hop_ns, max_gap_ns)
        self._no_face = np.zeros((max(face_size, 1), max(face_size, 1), 3), np.uint8)
        self._steps = steps

    def _made(self, window: Window, frames: list[Frame]) -> EmotionWindow:
        landmarks = self._landmarks(window) if self._steps else NO_LANDMARKS
        bodies = np.array([frame.framing.person_found is not False for frame in frames], np.uint8)
        if self._steps:
            bodies = frames_shown(landmarks, len(frames))
        faces = [self._no_face if frame.face is None else frame.face for frame in frames]
        numbers = [NO_NUMBERS if frame.expression is None else frame.expression for frame in frames]
        return EmotionWindow(
            **{field.name: getattr(window, field.name) for field in fields(Window)}
            | {"frames": window.frames * bodies[:, None, None, None]},
            body_seen=bodies,
            landmarks=landmarks,
            faces=np.stack(faces),
            face_seen=np.array([frame.face is not None for frame in frames], np.uint8),
            expressions=np.stack(numbers),
            expression_seen=np.array([frame.expression is not None for frame in frames], np.uint8),
        )

    def _landmarks(self, window: Window) -> Float32Array:
        """(steps, POINTS, CHANNELS) up to the window's end; of a recording that ends within it, around its middle."""
        end_ns, origin_ns = window.end_ns, self.start_ns or 0
        if window.recorded_end_ns is not None:
            end_ns = (window.recorded_end_ns + origin_ns + self._span_ns) // 2
        back_ns = self._span_ns // self._steps * np.arange(self._steps - 1, -1, -1, dtype=np.int64)
        seen = [(frame.media_ns, frame.landmarks) for frame in self._frames if frame.landmarks is not None]
        if not seen:
            return np.zeros((self._steps, POINTS, CHANNELS), np.float32)
        times_s = np.array([media_ns - origin_ns for media_ns, _ in seen], np.float64) * 1e-9
        pictures = np.stack([landmarks for _, landmarks in seen])
        return at_steps(times_s, pictures, (end_ns - origin_ns - back_ns).astype(np.float64) * 1e-9)
