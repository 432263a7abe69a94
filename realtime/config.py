"""Every setting of the live path: bounded, described, read from TOML; unknown keys fail.

The command line writes into the same structure (`load(path, overrides)`), so a value is checked in one place.
"""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engines.common.errors import BadInput
from engines.common.printable import is_text
from engines.runtimes.inference_server import ServerSettings
from events.settings import AggregatorSettings, EmotionSettings, Seconds

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_MAX_FILE_BYTES = 1 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the sections."""


class CameraSettings(Settings, frozen=True):
    """What is asked of a webcam; what it really gives is reported."""

    width: Annotated[int, Meta(ge=64, le=7680, description="pixels asked of the webcam")] = 1280
    height: Annotated[int, Meta(ge=64, le=4320, description="pixels asked of the webcam")] = 720
    fps: Annotated[float, Meta(ge=1.0, le=240.0, description="frames per second asked of the webcam")] = 30.0
    mjpg: Annotated[bool, Meta(description="ask for MJPG, which USB 2 cameras need for 720p at 30 fps")] = True


class StreamSettings(Settings, frozen=True):
    """Network streams."""

    open_timeout_s: Annotated[Seconds, Meta(ge=0.1, le=60.0, description="give up opening a stream after this")] = 5.0
    read_timeout_s: Annotated[Seconds, Meta(ge=0.1, le=60.0, description="a silent stream counts as lost")] = 3.0
    backoff_min_s: Annotated[Seconds, Meta(ge=0.05, le=10.0, description="first wait before reconnecting")] = 0.5
    backoff_max_s: Annotated[Seconds, Meta(ge=0.05, le=300.0, description="longest wait before reconnecting")] = 10.0
    give_up_s: Annotated[
        Seconds, Meta(ge=1.0, le=86400.0, description="end the session after this long without a connection")
    ] = 300.0


class ViewSettings(Settings, frozen=True):
    """What of the picture the model sees."""

    crop: Annotated[
        Literal["center", "full", "person"],
        Meta(description="center: the official crop; full: letterbox, nothing cut off; person: follow the person"),
    ] = "center"
    person_margin: Annotated[
        float, Meta(ge=0.0, le=1.0, description="margin around the person, as a share of the person's size")
    ] = 0.15
    pose: Annotated[
        Literal["full", "heavy"],
        Meta(description="MediaPipe's pose network: heavy is larger and slower; never chosen by load"),
    ] = "full"


class WindowSettings(Settings, frozen=True):
    """How the stream is cut into windows. Their length and span belong to the model's card."""

    hop_s: Annotated[Seconds, Meta(ge=0.04, le=5.0, description="a window is due this often")] = 0.25
    step_hop_s: Annotated[
        Seconds,
        Meta(ge=0.04, le=5.0, description="the same of models that score every step: their windows cost little"),
    ] = 0.125
    max_gap_s: Annotated[
        Seconds, Meta(ge=0.1, le=10.0, description="a window with a longer stretch without frames is skipped")
    ] = 0.5


class EngineSettings(Settings, frozen=True):
    """The runtime and how it is fed."""

    runtime: Annotated[
        Literal["auto", "tensorrt", "tensorrt-rtx", "torch", "onnxruntime", "openvino", "inference-server"],
        Meta(description="auto: the fastest that passes the bundle's parity check"),
    ] = "auto"
    threads: Annotated[int, Meta(ge=0, le=256, description="CPU threads; 0 leaves the choice to the runtime")] = 0
    nice: Annotated[
        int, Meta(ge=0, le=19, description="how far the engine steps back behind capture when cores are short")
    ] = 2
    staleness_s: Annotated[
        Seconds, Meta(ge=0.05, le=10.0, description="a window that has waited longer for the engine is skipped")
    ] = 0.5


class OverlaySettings(Settings, frozen=True):
    """The terminal picture."""

    picture: Annotated[bool, Meta(description="show the person as a small half-block picture")] = True
    refresh_hz: Annotated[float, Meta(ge=1.0, le=30.0, description="redraws per second")] = 8.0


class StreamOutSettings(Settings, frozen=True):
    """Events out."""

    publish: Annotated[str | None, Meta(description="ZeroMQ endpoint for the event stream, ipc:// or tcp://")] = None
    keys: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="folder made by `keys`: encrypt it and let in only the clients listed there"),
    ] = None
    stats_every_s: Annotated[Seconds, Meta(ge=0.5, le=3600.0, description="media time between stats lines")] = 5.0


class SupervisionSettings(Settings, frozen=True):
    """How a failing capture process is treated."""

    hang_s: Annotated[
        Seconds, Meta(ge=2.0, le=120.0, description="a capture process silent for this long is replaced")
    ] = 10.0
    start_s: Annotated[
        Seconds, Meta(ge=2.0, le=600.0, description="time to the first sign of a capture process, not below hang_s")
    ] = 60.0
    max_restarts: Annotated[int, Meta(ge=0, le=100, description="capture restarts within restart_window_s")] = 3
    restart_window_s: Annotated[
        Seconds, Meta(ge=10.0, le=86400.0, description="a restart that is longer ago does not count")
    ] = 600.0
    backoff_min_s: Annotated[Seconds, Meta(ge=0.05, le=10.0, description="first wait before a restart")] = 0.5
    backoff_max_s: Annotated[
        Seconds, Meta(ge=0.05, le=300.0, description="longest wait before a restart; each is twice the last")
    ] = 10.0
    queue_frames: Annotated[int, Meta(ge=1, le=1000, description="frames the sender may hold before it drops")] = 60


class Config(Settings, frozen=True):
    """The whole configuration."""

    camera: CameraSettings = CameraSettings()
    stream: StreamSettings = StreamSettings()
    view: ViewSettings = ViewSettings()
    window: WindowSettings = WindowSettings()
    engine: EngineSettings = EngineSettings()
    server: ServerSettings = ServerSettings()
    aggregator: AggregatorSettings = AggregatorSettings()
    emotion: EmotionSettings = EmotionSettings()
    overlay: OverlaySettings = OverlaySettings()
    output: StreamOutSettings = StreamOutSettings()
    supervision: SupervisionSettings = SupervisionSettings()


def load(path: Path | None, overrides: dict[str, dict[str, Any]] | None = None) -> Config:
    """Defaults, then the TOML file, then `overrides` (section → key → value; None values are ignored).

    Raises:
        BadInput: the file is missing or not TOML, a key is unknown, a value is of the wrong type or out of bounds.
    """
    tree: dict[str, Any] = _read(path) if path else {}
    for section, values in (overrides or {}).items():
        given = {key: value for key, value in values.items() if value is not None}
        if given and isinstance(tree.setdefault(section, {}), dict):
            tree[section].update(given)
    where = str(path) if path else "the command line"
    _check_text(tree, where)
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        key = place.strip("`.") or "top level"
        raise BadInput(
            "a valid configuration", f"[{key}] {message} in {where}", "--print-config lists every key with its bounds"
        ) from None


def _check_text(tree: dict[str, Any], where: str) -> None:
    """Every text must be one that can be written to the record, and given to the system."""
    for section, values in tree.items():
        for key, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, str) and "\0" in value:
                raise BadInput("text without zero characters", f"[{section}] {key} in {where}", "leave them out")
            if isinstance(value, str) and not is_text(value):
                raise BadInput(
                    "text in UTF-8",
                    f"[{section}] {key} {value!r} in {where}",
                    "write it as UTF-8, or use a name that is",
                )


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise BadInput(
                "a configuration file", f"{path}, larger than {_MAX_FILE_BYTES} bytes", "check the path of --config"
            )
        return tomllib.loads(data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig"))
    except OSError as error:
        raise BadInput("a configuration file", f"{path} ({error.strerror})", "check the path of --config") from None
    except UnicodeDecodeError as error:
        raise BadInput("a TOML file in UTF-8", f"{path}: {error}", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # not TOML, a number of thousands of digits, brackets without end
        raise BadInput("a TOML file", f"{path}: {error}", "fix the line it names") from None


def describe(config: Config) -> str:
    """The effective configuration as TOML, each key with its meaning and bounds in a comment: the structs' schema."""
    _, schemas = msgspec.json.schema_components([Config])
    lines = []
    for section in config.__struct_fields__:
        values = getattr(config, section)
        schema = schemas[type(values).__name__]
        lines.append(f"\n[{section}]  # {schema['description'].splitlines()[0].rstrip('.')}")
        for key in values.__struct_fields__:
            value = getattr(values, key)
            text = "# " + key + " =" if value is None else f"{key} = {_toml(value)}"
            lines.append(f"{text:<28}# {_meaning(schema['properties'][key])}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return repr(value)


def _meaning(field: dict[str, Any]) -> str:
    """Description and bounds; those of what it may hold beside nothing lie one level below."""
    texts = []
    for one in (field, *field.get("anyOf", ())):
        texts += [one["description"]] if "description" in one else []
        texts += [f"{one['minimum']:g} to {one['maximum']:g}"] if "minimum" in one else []
        texts += [" | ".join(one["enum"])] if "enum" in one else []
    return " · ".join(texts)
