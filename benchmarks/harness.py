"""What every benchmark shares: a result, the machine it came from, recordings to run on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av
import msgspec


class Result(msgspec.Struct, frozen=True):
    """One comparison; `ratio` is larger where we are better."""

    ours: float
    other: float
    ratio: float
    unit: str
    compared: str  # what was set against what, on what input
    machine: str
    details: dict[str, float | str] = {}


def machine() -> str:
    """Processor, cores and memory, for the reader of a result."""
    model = platform.processor() or platform.machine()
    flags = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in fields.items()}
        model = named.get("model name", model)
        known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
        flags = " ".join(flag for flag in known if flag in named.get("flags", "").split())
    return f"{model}, {os.cpu_count()} cores, {flags or 'no vector flags known'}, {platform.system()}, no GPU used"


def median_ms(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median duration of each action in ms, the actions taken in turn so that drift hits all alike."""
    for action in actions.values():
        action()  # warm-up
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def loop_recording(source: Path, target: Path, times: int) -> None:
    """Repeat a recording's packets `times` times over without decoding them."""
    with av.open(str(source)) as first, av.open(str(target), "w") as out:
        template = first.streams.video[0]
        stream = out.add_stream_from_template(template)
        shift = 0
        for _ in range(times):
            length = 0
            with av.open(str(source)) as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.dts is None or packet.pts is None:
                        continue
                    length = max(length, packet.pts + (packet.duration or 1))
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    out.mux(packet)
            shift += length
