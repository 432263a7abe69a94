"""The dataset on disk: a folder for each recording, which appears whole or not at all.

DATASET/archive.json                         what it is made with
DATASET/recording=ID/events.parquet ...      made in `_work` and renamed; `errors.parquet` alone where it failed
DATASET/exports/FORMAT/ID/                   its files in a format of `lab export`, the same way
DATASET/_work/                               what is under way, and the lock
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import msgspec

from engines.common.errors import BadInput
from engines.common.printable import printable
from lab.archive.recordings import Recording
from lab.archive.tables import write_row

DESCRIPTION_FILE, WORK_FOLDER, EXPORTS_FOLDER, LOCK_FILE = "archive.json", "_work", "exports", "lock"
PREFIX = "recording="
WAIT_S = 10.0  # for the lock
# Bytes of the dataset, above what was measured (docs/archive.md): of a recording, and of a second of it.
RECORDING_BYTES, SECOND_BYTES, POSTERIORS_SECOND_BYTES = 40_000, 200, 5_000
EXPORT_BYTES, EXPORT_SECOND_BYTES = 20_000, 400  # of each format


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a dataset is made with, the same for all its recordings: the content of `archive.json`.

    Attributes:
        model: name or folder.
        emotion: the same of the emotion model, where it was asked for; else the default one is taken.
        seal: of the model's card; `emotion_seal` of the emotion model's, None where none runs.
        config: as from `msgspec.to_builtins(Config)`, with the engine that was chosen.
    """

    model: str
    seal: str
    emotion: str | None
    emotion_seal: str | None
    posteriors: bool
    config: dict[str, Any]
    format: Literal[1] = 1

    @property
    def made_with(self) -> dict[str, Any]:
        """All that decides what is in it; a model may lie elsewhere, and the speed of things may change."""
        config = {name: self.config[name] for name in ("view", "window", "aggregator", "emotion")}
        engine = self.config["engine"]["runtime"], self.config["engine"]["threads"]
        return {
            "model": self.seal,
            "emotion model": self.emotion_seal,
            "posteriors": self.posteriors,
            "engine": engine,
            **config,
        }


class Dataset:
    """A dataset's folder."""

    def __init__(self, path: Path) -> None:
        self.path, self.work = path.absolute(), path.absolute() / WORK_FOLDER

    def order(self) -> Order | None:
        """What it was made with; None where there is none yet.

        Raises:
            BadInput: something else stands there.
        """
        file = self.path / DESCRIPTION_FILE
        try:
            if file.exists():
                return msgspec.json.decode(file.read_bytes(), type=Order)
            if self.path.is_dir() and {one.name for one in self.path.iterdir()} <= {WORK_FOLDER}:
                return None
            if not os.path.lexists(self.path):
                return None
        except (OSError, msgspec.MsgspecError) as error:
            raise BadInput("a new folder or a dataset for --out", f"{self.path} ({error})", "name another") from None
        raise BadInput("a new folder or a dataset for --out", f"{self.path}, something else", "name another")

    def begin(self, order: Order) -> None:
        """Make the folder, or go on with it.

        Raises:
            BadInput: it was made with something else, or cannot be made.
        """
        before = self.order()
        if before is not None:
            changed = [name for name, one in order.made_with.items() if before.made_with.get(name) != one]
            if changed:
                got = f"another {', '.join(changed)} than {self.path} was made with"
                raise BadInput("the model and settings of the dataset", got, "name another --out")
            return
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            part = self.work / DESCRIPTION_FILE
            part.write_bytes(msgspec.json.format(msgspec.json.encode(order)) + b"\n")
            part.replace(self.path / DESCRIPTION_FILE)
        except OSError as error:
            raise BadInput(
                "a folder that can be made for --out", f"{self.path} ({error.strerror})", "name another"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """One run at a time. Gives the lock's descriptor: who inherits it holds the lock, too.

        Raises:
            BadInput: another run, or what one has left, still works on it.
        """
        handle = os.open(self.work / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(handle):
                raise BadInput("a dataset that no other run works on", f"{self.path}", "wait for it to end")
            yield handle
        finally:
            os.close(handle)

    def clean(self) -> None:
        """Take away what a killed run has left half made."""
        for folder in self.work.glob(f"{PREFIX}*/"):
            shutil.rmtree(folder)
        for log in self.work.glob("worker-*.log"):
            log.unlink()

    def has(self, recording_id: str) -> bool:
        """It is archived, or has failed."""
        return self.recording_path(recording_id).is_dir()

    def recording_path(self, recording_id: str) -> Path:
        """Where its tables are."""
        return self.path / f"{PREFIX}{recording_id}"

    def export_path(self, name: str, recording_id: str) -> Path:
        """Where its files in a format are."""
        return self.path / EXPORTS_FOLDER / name / recording_id

    def state(self, recording_id: str) -> Literal["archived", "failed", "missing"]:
        """What became of a recording."""
        if not self.has(recording_id):
            return "missing"
        failed = (self.recording_path(recording_id) / "errors.parquet").exists()
        return "failed" if failed else "archived"

    def new(self, recording_id: str) -> AbstractContextManager[Path]:
        """A folder for a recording's tables, which appears in the dataset when left without an exception."""
        return self._new(recording_id, self.recording_path(recording_id))

    def new_export(self, name: str, recording_id: str) -> AbstractContextManager[Path]:
        """The same for its files in a format."""
        return self._new(recording_id, self.export_path(name, recording_id))

    @contextlib.contextmanager
    def _new(self, recording_id: str, target: Path) -> Iterator[Path]:
        folder = self.work / f"{PREFIX}{recording_id}.{os.getpid()}.{os.urandom(4).hex()}"
        folder.mkdir()
        try:
            yield folder
            for file in filter(Path.is_file, folder.rglob("*")):
                with file.open("rb+") as written:
                    os.fsync(written.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # the same, made twice: a node was lost that was not dead
                _rename_new(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write_error(self, recording: Recording, reason: str, set_aside: bool = False) -> None:
        """A recording that cannot be archived: a row with its reason."""
        row = {"path": printable(str(recording.path)), "bytes": recording.bytes}
        with self.new(recording.id) as folder:
            write_row(folder, "errors", row | {"reason": reason, "set_aside": set_aside})

    def deaths(self, recording_id: str) -> int:
        """How often its process has died, in this run and before."""
        file = self.work / f"{recording_id}.died"
        return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0

    def note_death(self, recording_id: str, reason: str) -> int:
        """The same, once more."""
        with (self.work / f"{recording_id}.died").open("a", encoding="utf-8") as file:
            file.write(f"{' '.join(reason.split())}\n")
        return self.deaths(recording_id)


def needed_bytes(recordings: list[Recording], posteriors: bool) -> int:
    """How large the tables of these recordings may become."""
    a_second = SECOND_BYTES + posteriors * POSTERIORS_SECOND_BYTES
    return sum(RECORDING_BYTES + round(a_second * one.seconds) for one in recordings)


def needed_export_bytes(recordings: list[Recording], formats: int) -> int:
    """The same of their files in so many formats."""
    return formats * sum(EXPORT_BYTES + round(EXPORT_SECOND_BYTES * one.seconds) for one in recordings)


def check_space(path: Path, needed: int) -> None:
    """Raises BadInput: the disk has less."""
    free = shutil.disk_usage(next(one for one in (path, *path.absolute().parents) if one.exists())).free
    if free < needed:
        want, got = f"{needed / 1e9:.2f} GB of free space for the dataset", f"{free / 1e9:.2f} GB at {path}"
        raise BadInput(want, got, "free some, or choose another --out")


def _lock(handle: int) -> bool:
    """Whether it is ours now. What a killed run has left needs some seconds to end."""
    if os.name != "posix":
        return True
    import fcntl

    until_s = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                return False
            time.sleep(0.2)
        else:
            return True


def _rename_new(folder: Path, target: Path) -> None:
    """Raises FileExistsError: it is there."""
    try:
        folder.rename(target)
    except OSError as error:
        if target.is_dir():
            raise FileExistsError(str(target)) from error
        raise
