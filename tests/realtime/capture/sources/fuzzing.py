"""Damaged recordings by the thousand: small real files, seeded damage, and a worker that reads them.

A worker is a process of its own (`python -m tests.realtime.capture.sources.fuzzing FOLDER FIRST COUNT`): what crashes
or hangs inside FFmpeg ends it. It writes the outcome of each file, so the one that is missing first is the one it died
of.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import json
import os
import random
import resource
import sys
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.error

from engines.common.errors import BadInput
from realtime.capture.sources import EndOfSource, FileSpec, open_source
from realtime.capture.sources.timeline import MAX_GAP_NS, UNCONFIRMED_NS
from realtime.clock import NS_PER_S

RATE = 12  # Hz
SECONDS = 2
H264 = ["-c:v", "libx264", "-threads", "1", "-g", "8"]
PICTURES = RATE * SECONDS
NOISE = ["-vf", "noise=alls=12:allf=t"]  # makes packets large enough for damage to hit pictures, not headers alone
EXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact"]  # the same bytes each time
STOCK = {  # undamaged file -> how ffmpeg makes it
    "h264.mp4": [*H264, "-bf", "2"],
    "fragmented.mp4": [*H264, "-bf", "0", "-movflags", "frag_keyframe+empty_moov"],
    "h264.mkv": [*H264, "-bf", "2"],
    "h264.ts": [*H264, "-bf", "2"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-g", "8"],
    "mjpeg.avi": ["-c:v", "mjpeg"],
    "bare.mjpeg": ["-c:v", "mjpeg"],
}

# For one file of 24 tiny pictures, on a busy machine: what takes longer hangs.
LIMIT_S = float(os.environ.get("FUZZ_LIMIT_S", "20"))
LIMIT_BYTES = 400 << 20  # that one file may add to the process
ADDRESS_SPACE = 8 << 30  # so that a worker cannot fill the machine before it is found out
BAD_NUMBERS = (b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\x80" + bytes(3), bytes(4), bytes(3) + b"\x01")


@dataclass
class Outcome:
    """What came of one damaged file."""

    seed: int
    name: str
    damage: list[str]
    fault: str = ""  # what the reader did wrong
    refused: bool = False  # with a BadInput, as it may
    delivered: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


def damage_bytes(data: bytearray, rng: random.Random) -> str:
    """One mutation of a file's bytes; returns its name. Half of them hit the ends, where headers are."""
    edge = max(1, len(data) // 10)
    start = (
        rng.choice(
            [
                rng.randrange(edge),
                len(data) - 1 - rng.randrange(edge),
                rng.randrange(len(data)),
                rng.randrange(len(data)),
            ]
        )
        if data
        else 0
    )
    end = min(len(data), start + rng.choice([1, 4, 16, 188, 2000]))
    other = rng.randrange(len(data) + 1)
    kind = rng.choice(["flip", "zero", "truncate", "duplicate", "drop", "swap", "insert", "number"])
    if kind == "flip":
        for at in range(start, min(end, start + 8)):
            data[at] ^= 1 << rng.randrange(8)
    elif kind == "zero":
        data[start:end] = bytes(end - start)
    elif kind == "truncate":
        del data[max(start, 64) :]
    elif kind == "duplicate":
        data[other:other] = data[start:end]
    elif kind == "drop":
        del data[start:end]
    elif kind == "swap":
        piece = data[other : other + end - start]
        data[other : other + len(piece)], data[start : start + len(piece)] = data[start : start + len(piece)], piece
    elif kind == "insert":
        data[start:start] = rng.randbytes(end - start)
    else:
        number = rng.choice(BAD_NUMBERS)
        data[start : start + 4] = number if rng.random() < 0.5 else number[::-1]
    return kind


@dataclass
class Piece:
    """A packet that is to be written."""

    data: bytes
    pts: int | None
    dts: int | None
    keyframe: bool


def damage_packets(pieces: list[Piece], rng: random.Random, second: int) -> str:
    """One mutation of a list of packets; returns its name. `second`: one, in the unit of their times."""
    at, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
    piece = pieces[at]
    kind = rng.choice(
        ["lose", "lose", "repeat", "reorder", "swap times", "jump", "no time", "late clock", "cut", "blot"]
    )
    if kind == "lose" and len(pieces) > 1:
        del pieces[at]
    elif kind == "repeat":
        pieces.insert(other, Piece(**vars(piece)))
    elif kind == "reorder":
        pieces.insert(other, pieces.pop(at))
    elif kind == "swap times":
        pieces[other].pts, piece.pts = piece.pts, pieces[other].pts
    elif kind == "jump":  # one packet's times: some hours or years ahead, or back
        away = rng.choice([-3600, -5, 5, 3600, 10**6]) * second
        piece.pts, piece.dts = (None if stamp is None else stamp + away for stamp in (piece.pts, piece.dts))
    elif kind == "no time":
        piece.pts = piece.dts = None
    elif kind == "late clock":  # everything from here on
        away = rng.choice([-2, -1, 1, 20, 3600, 10**6]) * second
        for late in pieces[at:]:
            late.pts, late.dts = (None if stamp is None else stamp + away for stamp in (late.pts, late.dts))
    elif kind == "cut":
        piece.data = piece.data[: max(1, len(piece.data) // 2)]
    else:
        middle = len(piece.data) // 2
        piece.data = piece.data[:middle] + bytes(len(piece.data) - middle)
    return kind


def remux(source: Path, target: Path, rng: random.Random, times: int) -> list[str]:
    """The file again with `times` mutations of its packets. What the container cannot hold is not in it."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        pieces = [
            Piece(bytes(packet), packet.pts, packet.dts, packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size
        ]
        time_base = stream.time_base or Fraction(1, RATE)
        kinds = [damage_packets(pieces, rng, round(1 / time_base)) for _ in range(times)]
        with av.open(str(target), "w") as out:
            written = out.add_stream_from_template(stream)
            for piece in pieces:
                packet = av.Packet(piece.data)
                packet.pts, packet.dts, packet.time_base = piece.pts, piece.dts, time_base
                packet.is_keyframe = piece.keyframe
                packet.stream = written
                with contextlib.suppress(av.error.FFmpegError, OverflowError, ValueError):
                    out.mux_one(packet)
    return kinds


def make(seed: int, folder: Path, target_folder: Path) -> tuple[Path, str, list[str]]:
    """The damaged file of a seed: where it is, what it was, and what was done to it."""
    rng = random.Random(seed)
    name = rng.choice(sorted(STOCK))
    source = folder / name
    target = target_folder / f"{seed}-{name}"
    times = rng.choice([1, 1, 2, 4, 8])
    if rng.random() < 0.4:
        try:
            return target, name, ["packets", *remux(source, target, rng, times)]
        except (av.error.FFmpegError, ValueError):  # nothing that a container could hold is left
            target.unlink(missing_ok=True)
    data = bytearray(source.read_bytes())
    kinds = [damage_bytes(data, rng) for _ in range(times)]
    target.write_bytes(data)
    return target, name, ["bytes", *kinds]


def read(path: Path, outcome: Outcome) -> None:
    """Read the file to its end by the real reader; what is wrong goes into `outcome.fault`."""
    source = open_source(FileSpec(str(path)))
    times: list[int] = []
    try:
        source.open()
    except BadInput as error:
        outcome.refused = True
        if "\n" in str(error):
            outcome.fault = f"more than one line: {error}"
        return
    try:
        while True:
            image = source.read(1.0)
            if image is not None:
                times.append(image.media_ns)
    except EndOfSource:
        pass
    finally:
        source.close()
    outcome.delivered, outcome.left_out = len(times), dict(source.left_out)
    if any(late <= early for early, late in itertools.pairwise(times)):
        outcome.fault = f"times do not ascend: {times}"
    elif len(times) + sum(source.left_out.values()) != source.pictures:
        outcome.fault = f"{source.pictures} pictures, of which {len(times)} came and {outcome.left_out} did not"
    elif times and times[-1] - times[0] > _longest_ns(outcome):
        outcome.fault = f"times from {times[0] / NS_PER_S} s to {times[-1] / NS_PER_S} s"


def _longest_ns(outcome: Outcome) -> int:
    """How far the times of one file may be apart.

    One packet's time may be wrong by hours; where it is the last one's, up to a minute is believed. A clock that is set
    anew, and bytes that spell another time base, make another recording: only its gaps are bounded.
    """
    level, *kinds = outcome.damage
    if level == "bytes" or len(kinds) > 2 or "late clock" in kinds:
        return 2 * PICTURES * MAX_GAP_NS  # pictures that are there twice
    return (SECONDS + 1) * NS_PER_S + UNCONFIRMED_NS * ("jump" in kinds)


def work(folder: Path, first: int, count: int) -> None:
    """Make and read the files of these seeds; stops at a fault of memory, since the next ones could not be judged."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for seed in range(first, first + count):
        path, name, damage = make(seed, folder, folder / "damaged")
        outcome = Outcome(seed, name, damage)
        before = _peak_bytes()
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        try:
            read(path, outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the reader's fault
            outcome.fault = f"{type(error).__name__}: {error}"
        faulthandler.cancel_dump_traceback_later()
        grown = _peak_bytes() - before
        if grown > LIMIT_BYTES:
            outcome.fault = f"{grown >> 20} MiB of memory"
        if not outcome.fault:
            path.unlink()
        print(json.dumps(asdict(outcome)), flush=True)
        if grown > LIMIT_BYTES:
            return


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
