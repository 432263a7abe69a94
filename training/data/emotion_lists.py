"""Emotion data sets: a CSV file with one labelled video a line, checked in full before anything is trained.

    video,emotion,actions,subject
    s01/interview3.mp4,joy,B1 C1 G2,s01
    s02/interview1.mp4,anger,,s02

`video` lies inside the data folder. `emotion` is one of joy, sadness, surprise, fear, anger. `actions` are the MA-52
codes (A1 ... G4) of every micro-action in the video, separated by spaces; none is none. `subject` is who is filmed:
nobody is ever in two splits.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common.errors import BadInput
from engines.taxonomy import ACTIONS, EMOTIONS
from training.data.clip_lists import check_videos

COLUMNS = ("video", "emotion", "actions", "subject")
HEADER = ",".join(COLUMNS)
_INDEX_OF = {action.code: action.index for action in ACTIONS}


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """One line of a list."""

    video: str  # path inside the data folder
    emotion: int  # index into EMOTIONS
    actions: tuple[int, ...]  # indices of MA-52, ascending
    subject: str


def read_emotion_list(path: Path, folder: Path) -> tuple[LabelledVideo, ...]:
    """Read a list and check that all of its videos are there.

    Raises:
        BadInput: it cannot be read or is empty; its header is another; a line has an unknown emotion or code, no
            subject, or a video that comes twice or is not in `folder`. The line names the first fault.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except OSError as error:
        raise BadInput(f"a list with the header {HEADER}", f"{path} ({error.strerror})", "check the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise BadInput(f"a list with the header {HEADER}", f"{path}, which is no CSV text", "check the path") from None
    header = [name.strip() for name in rows[0]] if rows else []
    if header != list(COLUMNS):
        raise BadInput(f"a list with the header {HEADER}", f"{','.join(header)[:60]!r} in {path}", "correct line 1")
    entries = tuple(_parse(row, f"{path}:{number}") for number, row in enumerate(rows[1:], 2) if any(row))
    if not entries:
        raise BadInput("a list of videos", f"{path}, which has none", "check the path")
    check_videos([entry.video for entry in entries], path, folder)
    return entries


def _parse(row: Sequence[str], where: str) -> LabelledVideo:
    if len(row) != len(COLUMNS):
        raise BadInput(f"the columns {HEADER}", f"{len(row)} of them at {where}", "correct the line")
    video, emotion, actions, subject = (word.strip() for word in row)
    if emotion not in EMOTIONS:
        raise BadInput(f"an emotion of {', '.join(EMOTIONS)}", f"{emotion[:30]!r} at {where}", "correct the line")
    codes = actions.split()
    unknown = [code for code in codes if code not in _INDEX_OF]
    if unknown:
        raise BadInput("MA-52 codes, A1 ... G4, with spaces between", f"{unknown[0][:20]!r} at {where}", "correct it")
    if not video or not subject:
        raise BadInput("a video and a subject", f"none at {where}", "correct the line")
    return LabelledVideo(video, EMOTIONS.index(emotion), tuple(sorted({_INDEX_OF[code] for code in codes})), subject)


def split_subjects(
    entries: Sequence[LabelledVideo], share: float, seed: int
) -> tuple[tuple[LabelledVideo, ...], tuple[LabelledVideo, ...]]:
    """(training, held out) without a subject in both, the emotions spread as evenly as the subjects allow.

    Subjects are taken in random order, each to the side that is farther below its share of the emotions they show.

    Raises:
        BadInput: fewer than two subjects.
    """
    subjects = sorted({entry.subject for entry in entries})
    if len(subjects) < 2:
        raise BadInput("two subjects or more, to hold one out", f"{len(subjects)}", "set data.held_labels instead")
    counts = {subject: np.zeros(len(EMOTIONS)) for subject in subjects}
    for entry in entries:
        counts[entry.subject][entry.emotion] += 1
    goal = share * np.sum(list(counts.values()), axis=0)
    order = np.random.default_rng(seed).permutation(len(subjects))
    held: list[str] = []
    total = np.zeros(len(EMOTIONS))
    for place in order:
        subject = subjects[int(place)]
        after = total + counts[subject]
        if len(held) < len(subjects) - 1 and np.abs(goal - after).sum() < np.abs(goal - total).sum():
            held.append(subject)
            total = after
    held = held or [subjects[int(order[0])]]
    return (
        tuple(entry for entry in entries if entry.subject not in held),
        tuple(entry for entry in entries if entry.subject in held),
    )
