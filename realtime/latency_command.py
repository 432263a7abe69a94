"""The `latency` command: a session like any other, and what its stamps amount to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from engines import bundle as bundles
from engines.bundle import Bundle
from engines.common.errors import BadInput, Failed
from engines.common.log import log
from engines.common.new_files import NewFiles, check_new_file
from realtime.camera_pipeline import CameraPipeline
from realtime.latency.files import write_csv, write_trace
from realtime.latency.plot import SUFFIXES, write_plot
from realtime.latency.report import Report, cost, duration_s, frame_interval_ms, stage_reports
from realtime.latency.screen.filmed import CodeScreen, Shown, screen_report
from realtime.session import Session
from realtime.session_loop import SessionLoop
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


def measure(make: Callable[[], Session], files: Files, filming: bool = False) -> None:
    """Run a session; print the table of its latency on standard output and write the files.

    Args:
        make: the session, of one camera, once the files can be made.
        filming: show codes on the screen, which the camera films: from glass to glass, too.

    Raises:
        BadInput: of the session, a file that cannot be written, or no screen to film.
        SessionFailed: it broke while it ran.
        Failed: it is over, and a file could not be written.
    """
    with NewFiles() as made, CodeScreen() if filming else nullcontext() as screen:
        files.reserve(made)
        loop = make().run(handle_signals=True)
        _conclude(loop, files, made, screen.shown if screen else None)


def measure_events(model: str, interviews: int, seconds: float, seed: int, threads: int, files: Files) -> None:
    """Print when events are dated and reported, against the truth of simulated interviews.

    Raises:
        BadInput: no such model, not of the landmark view, or files that a run alone can fill.
    """
    if files.csv or files.plot or files.trace:
        raise BadInput("--json alone beside --events", "--csv, --plot or --trace", "they show a run: give a source")
    with NewFiles() as made:
        files.reserve(made)
        result = event_timing(Bundle.load(bundles.find(model)), interviews, seconds, seed, threads, report=log.info)
        _console().print(result)
        files.write(made, {"json": lambda path: path.write_bytes(_json(result))})


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def report(loop: SessionLoop, pipeline: CameraPipeline, shown: Shown | None = None) -> Report:
    """The figures of one camera of a session that is over, or of one that runs; `shown`: what it filmed."""
    log, stats = pipeline.latency, pipeline.stats()
    return Report(
        source=pipeline.source.name,
        model=loop.model.card.name,
        engine=loop.runtime.name,
        overlay=not loop.request.headless,
        seconds=round(duration_s(log), 3),
        frames=stats.frames,
        frame_interval_ms=round(frame_interval_ms(log), 3),
        windows_due=stats.windows_due,
        windows=stats.windows,
        dropped=stats.dropped,
        skipped=stats.skipped,
        stages=stage_reports(log),
        measuring=cost(log),
        screen=None if shown is None else screen_report(shown, pipeline.intake.sightings, log),
        other_clock_ms=stats.other_clock_ms,
    )


def _json(result: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result)) + b"\n"


def _conclude(loop: SessionLoop, files: Files, made: NewFiles, shown: Shown | None = None) -> None:
    (pipeline,) = loop.pipelines
    result = report(loop, pipeline, shown)
    _console().print(result)
    title = f"{result.source} · {result.model} on {result.engine}"
    files.write(
        made,
        {
            "json": lambda path: path.write_bytes(_json(result)),
            "csv": lambda path: write_csv(pipeline.latency, path),
            "trace": lambda path: write_trace(pipeline.latency, path),
            "plot": lambda path: write_plot(pipeline.latency, path, title),
        },
    )
