"""Landmarks of a session on disk: where the person was, and nothing of how the person looks.

A first line that names the format, a line of JSON (`LandmarkHeader`), then blocks of some seconds, each with its length
and CRC, compressed. A file that was cut off is read to the end of its last whole block.

Values are rounded to 1/8192 of the picture's width (`tracks.SCALE`), expression numbers to float16, so whoever is to
judge the same must be shown the rounded ones: `Rounded.landmarks`, `rounded_expression`.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from engines.common.errors import BadInput
from engines.expressions import NUMBERS
from engines.landmarks.points import FACE_POINTS, HAND_POINTS, POSE_POINTS, Landmarks
from engines.landmarks.tracks import MISSING, SCALE, VALUES, Int16Array, encode

KIND, FORMAT = b"manet-live landmarks ", b"2"
MAGIC = KIND + FORMAT + b"\n"
BLOCK_PICTURES = 150  # 5 s at 30 Hz
_HEAD = struct.Struct("<II")  # compressed bytes, CRC
_PICTURE = np.dtype(
    [
        ("media_ns", "<i8"),
        ("frame_id", "<i8"),
        ("followed_ns", "<i8"),
        ("people", "i1"),
        ("expression", "<f2", (NUMBERS,)),
    ]
)
_MOST_BYTES = 1 << 24  # of a block
_MOST_HEADER = 1 << 16
_NONE = -1  # people, followed_ns: not known
# Values that lie side by side move alike: x, then y, then z of the points of each part in turn.
_PARTS = ((POSE_POINTS, 4), (HAND_POINTS, 3), (HAND_POINTS, 3), (FACE_POINTS, 3))


class LandmarkHeader(msgspec.Struct, frozen=True):
    """What a file says of its source."""

    source: str  # name
    height: int  # pixels of the pictures
    width: int
    begins_ns: int  # beginning of the source's own clock, on that of the pictures
    fps: float | None = None  # as the source declared
    consent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """One picture's landmarks as a file holds them."""

    values: Int16Array  # (VALUES,)
    height: int
    width: int
    media_ns: int

    @classmethod
    def of(cls, landmarks: Landmarks) -> Rounded:
        values = encode(
            landmarks.pose[None], landmarks.hands[None], landmarks.face[None], landmarks.height, landmarks.width
        )
        return cls(values[0], landmarks.height, landmarks.width, landmarks.time_ns)

    @property
    def landmarks(self) -> Landmarks:
        """In pixels; the same values always give the same numbers."""
        size = np.array([self.width, self.height, self.width], np.float32)
        numbers = np.where(self.values == MISSING, np.float32(np.nan), self.values.astype(np.float32) / SCALE)
        pose = numbers[: 4 * POSE_POINTS].reshape(POSE_POINTS, 4) * np.append(size, np.float32(1.0))
        rest = numbers[4 * POSE_POINTS :].reshape(-1, 3) * size
        hands = rest[: 2 * HAND_POINTS].reshape(2, HAND_POINTS, 3)
        return Landmarks(self.media_ns, self.height, self.width, pose, hands, rest[2 * HAND_POINTS :])


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a recorded session."""

    rounded: Rounded
    frame_id: int
    people: int | None = None  # in view, as far as they were counted
    followed_ns: int | None = None  # how long the person has been followed
    expression: npt.NDArray[np.float32] | None = None  # (NUMBERS,), rounded; None: no fresh face, or not asked for


def rounded_expression(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(NUMBERS,) as a file holds them."""
    return numbers.astype(np.float16).astype(np.float32)


class LandmarkWriter:
    """Adds pictures to a file: a new one, or the one that an earlier capture process of the same session began.

    Raises:
        OSError: it cannot be written; of a new one, something stands there.
    """

    def __init__(self, path: Path, header: LandmarkHeader, resume: bool = False) -> None:
        self._header, self._waiting = header, list[Picture]()
        self._file: BinaryIO = path.open("r+b" if resume else "xb", buffering=0)
        if resume:
            for _ in _blocks(self._file, path):
                continue
            self._file.truncate()
        else:
            self._file.write(MAGIC + msgspec.json.encode(header) + b"\n")

    def add(self, picture: Picture) -> None:
        """Take a picture; whole blocks are written at once."""
        same = (picture.rounded.height, picture.rounded.width) == (self._header.height, self._header.width)
        if not same:
            raise OSError(f"the pictures' size changed to {picture.rounded.width}x{picture.rounded.height}")
        self._waiting.append(picture)
        if len(self._waiting) == BLOCK_PICTURES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            block = _packed(self._waiting)
            self._file.write(_HEAD.pack(len(block), zlib.crc32(block)) + block)
            self._waiting.clear()

    def close(self) -> None:
        """Write what waits, and close."""
        try:
            self.flush()
        finally:
            self._file.close()


def is_landmark_file(path: Path) -> bool:
    """Whether a file begins as one, of whatever format; False where it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(KIND)) == KIND
    except OSError:
        return False


def read_header(path: Path) -> LandmarkHeader:
    """Raises BadInput: not a file of landmarks."""
    try:
        with path.open("rb") as file:
            return _header(file, path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def read_pictures(path: Path) -> Iterator[Picture]:
    """The pictures in order, as far as whole blocks go.

    Raises:
        BadInput: not a file of landmarks.
    """
    with path.open("rb") as file:
        header = _header(file, path)
        for block in _blocks(file, path):
            yield from _unpacked(block, header)


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput("a file of --record-landmarks", f"{path} ({why})", "give one that was recorded")


def _header(file: BinaryIO, path: Path) -> LandmarkHeader:
    file.seek(0)
    beginning = file.read(_MOST_HEADER)
    text, end, _ = beginning.removeprefix(MAGIC).partition(b"\n")
    if beginning.startswith(KIND) and not beginning.startswith(MAGIC):
        other = beginning.removeprefix(KIND).partition(b"\n")[0][:8].decode("ascii", "replace")
        raise BadInput(
            f"landmarks in format {FORMAT.decode()}",
            f"{path} in format {other}",
            "replay it with the version that wrote it",
        )
    if not beginning.startswith(MAGIC) or not end:
        raise _unreadable(path, "it does not begin as one")
    file.seek(len(MAGIC) + len(text) + 1)
    try:
        header = msgspec.json.decode(text, type=LandmarkHeader)
        if min(header.height, header.width) < 1:
            raise ValueError("pictures without a size")
    except (ValueError, msgspec.MsgspecError) as error:
        raise _unreadable(path, str(error)) from None
    return header


def _blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The whole blocks behind the header; the file then stands behind the last of them."""
    _header(file, path)
    while True:
        begin, head = file.tell(), file.read(_HEAD.size)
        length, check = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        block = file.read(length) if 0 < length <= _MOST_BYTES else b""
        if not block or len(block) < length or zlib.crc32(block) != check:
            file.seek(begin)
            return
        yield block


def _order() -> Int16Array:
    """(VALUES,) the places of a picture's values, by part and axis."""
    places, first = [], 0
    for points, axes in _PARTS:
        places.append(np.arange(first, first + points * axes).reshape(points, axes).T.ravel())
        first += points * axes
    return np.concatenate(places).astype(np.int16)


_ORDER = _order()


def _packed(pictures: Sequence[Picture]) -> bytes:
    """Differences to the picture before and to the value beside, in two planes of bytes, compressed."""
    about = np.empty(len(pictures), _PICTURE)
    for row, one in zip(about, pictures, strict=True):
        row["media_ns"], row["frame_id"] = one.rounded.media_ns, one.frame_id
        row["followed_ns"], row["people"] = _known(one.followed_ns), _known(one.people)
        row["expression"] = np.nan if one.expression is None else one.expression
    values = np.stack([one.rounded.values for one in pictures])[:, _ORDER].view(np.uint16)  # wraps around
    steps = np.diff(values, axis=0, prepend=np.uint16(0))
    steps = np.diff(steps, axis=1, prepend=np.uint16(0))
    folded = (steps << np.uint16(1)) ^ np.where(steps >> np.uint16(15), np.uint16(0xFFFF), np.uint16(0))
    planes = np.stack([folded & np.uint16(0xFF), folded >> np.uint16(8)]).astype(np.uint8)
    content = struct.pack("<I", len(pictures)) + about.tobytes() + planes.transpose(0, 2, 1).tobytes()
    return lzma.compress(content)


def _unpacked(block: bytes, header: LandmarkHeader) -> Iterator[Picture]:
    content = lzma.LZMADecompressor().decompress(block, max_length=_MOST_BYTES)
    (count,) = struct.unpack_from("<I", content)
    about = np.frombuffer(content, _PICTURE, count, offset=4)
    planes = np.frombuffer(content, np.uint8, 2 * VALUES * count, offset=4 + about.nbytes)
    low, high = planes.reshape(2, VALUES, count).transpose(0, 2, 1).astype(np.uint16)
    folded = low | (high << np.uint16(8))
    steps = (folded >> np.uint16(1)) ^ np.where(folded & np.uint16(1), np.uint16(0xFFFF), np.uint16(0))
    values = np.empty((count, VALUES), np.uint16)
    values[:, _ORDER] = np.cumsum(np.cumsum(steps, axis=1, dtype=np.uint16), axis=0, dtype=np.uint16)
    for row, one in zip(values.view(np.int16), about, strict=True):
        rounded = Rounded(row, header.height, header.width, int(one["media_ns"]))
        expression = None if np.isnan(one["expression"]).any() else one["expression"].astype(np.float32)
        people, followed_ns = _unless_none(int(one["people"])), _unless_none(int(one["followed_ns"]))
        yield Picture(rounded, int(one["frame_id"]), people, followed_ns, expression)


def _known(value: int | None) -> int:
    return _NONE if value is None else value


def _unless_none(value: int) -> int | None:
    return None if value == _NONE else value
