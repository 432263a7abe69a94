"""Where pictures come from: webcams, recordings and network streams behind one interface.

A spec says which; it is plain data, so that the capture process can be told in JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from engines.common.errors import BadInput
from engines.common.printable import printable
from engines.landmarks.landmark_file import is_landmark_file
from realtime.capture.sources.base import EndOfSource as EndOfSource
from realtime.capture.sources.base import Image as Image
from realtime.capture.sources.base import Source
from realtime.capture.sources.urls import check_listening, check_url, public_name
from realtime.config import CameraSettings, Config, StreamSettings


class CameraSpec(msgspec.Struct, frozen=True, tag="camera"):
    """A webcam by its number."""

    live: ClassVar[bool] = True
    tracked: ClassVar[bool] = False  # brings its own landmarks

    index: int
    settings: CameraSettings = CameraSettings()

    @property
    def name(self) -> str:
        return f"camera {self.index}"


class FileSpec(msgspec.Struct, frozen=True, tag="file"):
    """A recording; `resume_after_ns` is the presentation time of the last picture already seen.

    fps: the true frame rate, Hz, in place of the stored times; None: the stored times.
    stream: number among its video streams, from 0; None: the one flagged as default, else the longest.
    """

    live: ClassVar[bool] = False
    tracked: ClassVar[bool] = False  # brings its own landmarks

    path: str
    resume_after_ns: int | None = None
    fps: Annotated[float, msgspec.Meta(gt=0)] | None = None
    stream: int | None = None

    @property
    def name(self) -> str:
        return printable(Path(self.path).name)


class LandmarkFileSpec(msgspec.Struct, frozen=True, tag="landmarks"):
    """The landmarks of a session, as `--record-landmarks` wrote them."""

    live: ClassVar[bool] = False
    tracked: ClassVar[bool] = True  # brings its own landmarks

    path: str
    resume_after_ns: int | None = None

    @property
    def name(self) -> str:
        return printable(Path(self.path).name)


class SimulatedSpec(msgspec.Struct, frozen=True, tag="simulated"):
    """A simulated interview; the same seed, length and mode give the same one."""

    live: ClassVar[bool] = False
    tracked: ClassVar[bool] = True  # brings its own landmarks

    seed: int = 0
    seconds: float = 30.0
    mode: str = "natural"  # or balanced, idle
    resume_after_ns: int | None = None
    moods: bool = False  # the person feels something, and shows it

    @property
    def name(self) -> str:
        return f"simulated interview {self.seed}"


class StreamSpec(msgspec.Struct, frozen=True, tag="stream"):
    """A network stream. The URL may hold credentials: it is kept out of `repr`, and `name` is stripped of them."""

    live: ClassVar[bool] = True
    tracked: ClassVar[bool] = False  # brings its own landmarks

    url: str
    settings: StreamSettings = StreamSettings()

    @property
    def name(self) -> str:
        return public_name(self.url)

    def __repr__(self) -> str:
        return f"StreamSpec({self.name!r})"


class RemoteSpec(msgspec.Struct, frozen=True, tag="remote"):
    """What another machine films and sends: its capture process connects to this endpoint."""

    live: ClassVar[bool] = True
    tracked: ClassVar[bool] = True  # whatever has to be tracked is tracked there

    endpoint: str  # tcp://ADDRESS:PORT; the port after it is taken, too

    @property
    def name(self) -> str:
        return f"camera at {self.endpoint.removeprefix('tcp://')}"


LocalSpec = (
    CameraSpec | FileSpec | LandmarkFileSpec | SimulatedSpec | StreamSpec
)  # that a capture process of this machine can open
SourceSpec = LocalSpec | RemoteSpec


def open_source(spec: LocalSpec) -> Source:
    """Make the source a spec describes. Nothing is opened yet: use it as a context manager or call `open`."""
    # imported here: each brings a large library of its own
    if isinstance(spec, FileSpec):
        from realtime.capture.sources.files import FileSource

        return FileSource(Path(spec.path), spec.resume_after_ns, spec.fps, spec.stream)
    if isinstance(spec, LandmarkFileSpec):
        from realtime.capture.sources.landmark_recording import LandmarkSource

        return LandmarkSource(Path(spec.path), spec.resume_after_ns)
    if isinstance(spec, StreamSpec):
        from realtime.capture.sources.network import StreamSource

        return StreamSource(spec.url, spec.settings)
    if isinstance(spec, SimulatedSpec):
        from realtime.capture.sources.simulated import SimulatedSource

        return SimulatedSource(spec.seed, spec.seconds, spec.mode, spec.resume_after_ns, spec.moods)
    from realtime.capture.sources.camera import CameraSource

    return CameraSource(spec.index, spec.settings)


def probe(spec: SourceSpec) -> None:
    """Check what can be checked cheaply before a capture process is started.

    A recording is opened and its first picture decoded; a URL is checked for its form; a camera for its number.

    Raises:
        BadInput: with one line saying what is wrong.
    """
    if isinstance(spec, (FileSpec, LandmarkFileSpec)):
        with open_source(spec):
            pass
    elif isinstance(spec, StreamSpec):
        check_url(spec.url)
    elif isinstance(spec, RemoteSpec):
        check_listening(spec.endpoint)
    elif isinstance(spec, CameraSpec) and spec.index < 0:
        raise BadInput("a camera number from 0 up", str(spec.index), "`cameras` lists those that open")


def parse_source(source: SourceSpec | str | int, config: Config) -> SourceSpec:
    """A webcam's number, the URL of a stream or the path of a recording as a spec; a spec as it is."""
    if isinstance(source, int):
        return CameraSpec(source, config.camera)
    if isinstance(source, str):
        return StreamSpec(source, config.stream) if "://" in source else recording_spec(Path(source))
    return source


def recording_spec(path: Path, fps: float | None = None, stream: int | None = None) -> FileSpec | LandmarkFileSpec:
    """A recording of pictures, or one of landmarks.

    Raises:
        BadInput: landmarks with a frame rate or a stream.
    """
    if not is_landmark_file(path):
        return FileSpec(str(path), fps=fps, stream=stream)
    if fps is not None or stream is not None:
        raise BadInput("--fps and --stream with a video", f"{path}, which holds landmarks", "leave them out")
    return LandmarkFileSpec(str(path))


def resume_after(spec: LocalSpec, media_ns: int | None) -> LocalSpec:
    """The same source for a capture process that takes over: a recording goes on behind `media_ns`."""
    if isinstance(spec, (FileSpec, LandmarkFileSpec, SimulatedSpec)) and media_ns is not None:
        return msgspec.structs.replace(spec, resume_after_ns=media_ns)
    return spec
