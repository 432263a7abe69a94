"""Examples from recorded sessions: their landmarks around what a person annotated or corrected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.common.errors import BadInput
from engines.landmarks.landmark_file import read_header, read_pictures
from engines.landmarks.recordings import ASSUMED_FPS, RealSequence
from lab.corrections import BY_NAME
from lab.session_record import SessionRecord
from lab.words import Event

AROUND_S = 0.5  # before and behind an event
MOST_S = 3.0  # of an example: a window of the model


def session_examples(record: SessionRecord, events: Sequence[Event], camera: int = 0) -> list[RealSequence]:
    """One example an event whose action is known, at the pace that models of sequences are used to.

    Args:
        record: of `--record-landmarks`.
        events: on the recording's own clock, as annotation tools and exports have it.

    Raises:
        BadInput: the session's landmarks were not recorded, or are not where they were.
    """
    path = landmarks_of(record, camera)
    header, pictures = read_header(path), list(read_pictures(path))
    if not pictures:
        raise BadInput("a file of --record-landmarks with pictures", str(path), "record longer")
    times_s = np.array([one.rounded.media_ns for one in pictures], np.int64)
    times_s = (times_s - times_s[0]) / 1e9 + record.to_file_s(camera)  # (F,)
    found = []
    for event in events:
        near = [one for one in events if one.onset_s < event.offset_s and one.offset_s > event.onset_s] or [event]
        labels = {BY_NAME[name].index for one in near for name in one.names if name in BY_NAME}
        if not any(name in BY_NAME for name in event.names):
            continue  # only the body part is known
        begin_s = max(event.onset_s - AROUND_S, times_s[0])
        end_s = min(event.offset_s + AROUND_S, times_s[-1], begin_s + MOST_S)
        if end_s <= begin_s:
            continue
        moments = np.arange(begin_s, end_s + 1e-9, 1.0 / ASSUMED_FPS)
        chosen = np.clip(np.searchsorted(times_s, moments), 0, len(times_s) - 1)
        frames = np.stack([pictures[at].rounded.values for at in chosen])
        word = " or ".join(sorted(event.names))
        aspect = header.width / header.height
        found.append(RealSequence(word, tuple(sorted(labels)), "high", 1.0, frames, (0, 0), aspect))
    return found


def landmarks_of(record: SessionRecord, camera: int) -> Path:
    """Where the session's landmarks are: as the record names them, or beside it. Raises BadInput: nowhere."""
    media = [one for one in record.media if one.kind == "landmarks" and one.camera == camera]
    if not media:
        got = f"{record.path}, which has none"
        raise BadInput(
            "a session recorded with --record-landmarks", got, "record landmarks, or replay its video with it"
        )
    places = (media[0].path, record.path / media[0].path.name)
    there = next((one for one in places if one.is_file()), None)
    if there is None:
        raise BadInput(f"the landmarks of {record.path}", f"no file {media[0].path}", "put it back")
    return there
