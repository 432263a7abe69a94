"""The `latency` command: a session like any other, and what its stamps amount to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rich.console import Console

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.common.new_files import NewFiles, check_new_file
from realtime.app import run, tell
from realtime.camera_pipeline import Channel
from realtime.latency import ROWS_FILES
from realtime.latency.files import write_csv, write_trace
from realtime.latency.plot import SUFFIXES, write_plot
from realtime.latency.report import Report, cost, duration_s, frame_interval_ms, stage_reports
from realtime.latency.screen.filmed import Screen, Shown, screen_report
from realtime.request import Request
from realtime.session import Session
from simulation.event_timing import event_timing

WIDTH = 120  # columns where standard output is not a terminal


@dataclass(frozen=True, slots=True)
class Files:
    """Where the figures go beside the terminal; None: nowhere."""

    json: Path | None = None  # the figures of the table
    csv: Path | None = None  # one row a frame
    plot: Path | None = None  # PNG, SVG or PDF
    trace: Path | None = None  # for Perfetto

    def reserve(self, made: NewFiles) -> None:
        """Before a long run, not after it: make them, empty. What is there and holds nothing, or is a device, will do.

        Raises:
            BadInput: a file that is there already, is given twice or cannot be written, or a plot of unknown kind.
        """
        reserved: list[Path] = []
        for name in ("json", "csv", "plot", "trace"):
            path: Path | None = getattr(self, name)
            if path is None:
                continue
            if name == "plot" and path.suffix.lower() not in SUFFIXES:
                raise BadInput(f"a --plot file ending in {', '.join(SUFFIXES)}", str(path), "rename it")
            check_new_file(path, f"--{name}")
            with contextlib.suppress(FileExistsError):
                made.open(path).close()
            if path.is_file() and any(path.samefile(one) for one in reserved):
                raise BadInput(f"a file of its own for --{name}", f"{path}, which another option has", "name another")
            reserved.append(path)

    def write(self, made: NewFiles, writers: dict[str, Callable[[Path], object]]) -> None:
        """Each that is wanted, by its name; one that cannot be written does not keep the others from it.

        Raises:
            Failed: some could not be written; nothing is left of those.
        """
        lost = []
        for name, write in writers.items():
            path: Path | None = getattr(self, name)
            if path is None:
                continue
            try:
                write(path)
                made.keep(path)
            except OSError as error:
                lost.append(f"--{name} {path}: {error.strerror}")
        if lost:
            raise Failed(f"could not write {'; '.join(lost)}")


def measure(request: Request, files: Files, filming: bool = False) -> None:
    """Run a session; print the table of its latency on standard output and write the files.

    Args:
        filming: show codes on the screen, which the camera films: from glass to glass, too. No overlay is drawn.

    Raises:
        BadInput: of the session, a file that cannot be written, or no screen to film.
        SessionFailed: it broke while it ran.
        Failed: it is over, and a file could not be written.
    """
    request, over = replace(request, print_events=False, latency_rows=ROWS_FILES), list[Session]()
    with NewFiles() as made:
        files.reserve(made)
        if filming:
            with Screen() as screen:
                run(replace(request, headless=True, read_codes=True), over.append)
            _conclude(over[0], files, made, screen.shown)
        else:
            run(request, over.append)
            _conclude(over[0], files, made)


def measure_events(model: str, interviews: int, seconds: float, seed: int, threads: int, files: Files) -> None:
    """Print when events are dated and reported, against the truth of simulated interviews.

    Raises:
        BadInput: no such model, not of the landmark view, or files that a run alone can fill.
    """
    if files.csv or files.plot or files.trace:
        raise BadInput("--json alone beside --events", "--csv, --plot or --trace", "they show a run: give a source")
    with NewFiles() as made:
        files.reserve(made)
        result = event_timing(Bundle.load(bundles.find(model)), interviews, seconds, seed, threads, report=tell)
        _console().print(result)
        files.write(made, {"json": lambda path: path.write_bytes(_json(result))})


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def report(session: Session, channel: Channel, shown: Shown | None = None) -> Report:
    """The figures of one camera of a session that is over, or of one that runs; `shown`: what it filmed."""
    log, stats = channel.latency, channel.stats({}, {})
    return Report(
        source=channel.source.name,
        model=session.model.card.name,
        engine=session.runtime.name,
        overlay=not session.request.headless,
        seconds=round(duration_s(log), 3),
        frames=stats.frames,
        frame_interval_ms=round(frame_interval_ms(log), 3),
        windows_due=stats.windows_due,
        windows=stats.windows,
        dropped=stats.dropped,
        skipped=stats.skipped,
        stages=stage_reports(log),
        measuring=cost(log),
        screen=None if shown is None else screen_report(shown, channel.intake.sightings, log),
        other_clock_ms=stats.other_clock_ms,
    )


def _json(result: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result)) + b"\n"


def _conclude(session: Session, files: Files, made: NewFiles, shown: Shown | None = None) -> None:
    (channel,) = session.channels
    result = report(session, channel, shown)
    _console().print(result)
    title = f"{result.source} · {result.model} on {result.engine}"
    files.write(
        made,
        {
            "json": lambda path: path.write_bytes(_json(result)),
            "csv": lambda path: write_csv(channel.latency, path),
            "trace": lambda path: write_trace(channel.latency, path),
            "plot": lambda path: write_plot(channel.latency, path, title),
        },
    )
