"""Every network by name. Specs are known without torch; a network's module is imported when one is built.

A network is one file and one entry: its spec, whose tag is its name, stands in `engines/specs/` and in `SPECS`; its
module `engines/networks/NAME.py` decorates the class with `@register(NAME, Spec)`. A network from elsewhere is known as
soon as its own file, with the spec and the decorated class, is imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Union

import msgspec

from engines.common.errors import BadInput
from engines.specs.base import Spec, Task
from engines.specs.emotion import EmotionFANSpec, VAANetSpec
from engines.specs.landmark_manet import LandmarkMANetSpec
from engines.specs.maenet import MAENetSpec
from engines.specs.manet import MANetSpec
from engines.specs.video import (
    C3DSpec,
    I3DSpec,
    SlowFastSpec,
    TimeSformerSpec,
    TINSpec,
    TSMSpec,
    TSNSpec,
    UniFormerSpec,
    VideoMAESpec,
    VideoSwinSpec,
)

if TYPE_CHECKING:
    from engines.networks.contract import Network

Registered = TypeVar("Registered", bound="type[Network]")

SPECS: dict[str, type[Spec]] = {
    "manet": MANetSpec,
    "landmark_manet": LandmarkMANetSpec,
    "maenet": MAENetSpec,
    "tsn": TSNSpec,
    "tsm": TSMSpec,
    "tin": TINSpec,
    "c3d": C3DSpec,
    "i3d": I3DSpec,
    "slowfast": SlowFastSpec,
    "video_swin": VideoSwinSpec,
    "timesformer": TimeSformerSpec,
    "uniformer": UniFormerSpec,
    "videomae": VideoMAESpec,
    "emotion_fan": EmotionFANSpec,
    "vaanet": VAANetSpec,
}
_NETWORKS: dict[str, type[Network]] = {}


def register(name: str, spec: type[Spec]) -> Callable[[Registered], Registered]:
    """Decorates the network that is built from specs of this kind.

    Raises:
        ValueError: the name is another spec's, or not the spec's tag.
    """
    if SPECS.setdefault(name, spec) is not spec or _tag(spec) != name:
        raise ValueError(f"network {name!r}: expected a spec of its own with this tag, got {spec.__name__}")

    def enter(network: Registered) -> Registered:
        _NETWORKS[name] = network
        return network

    return enter


def names(task: Task | None = None) -> tuple[str, ...]:
    """Of all networks, or of those for a task."""
    return tuple(name for name, spec in SPECS.items() if task in (None, spec.task))


def build(spec: Spec) -> Network:
    """The network with its initial weights, drawn from torch's random numbers; needs torch."""
    name = _tag(type(spec))
    if name not in _NETWORKS:
        importlib.import_module(f"engines.networks.{name}")
    return _NETWORKS[name](spec)


def read_spec(fields: object) -> Spec:
    """A spec from plain values, `architecture` among them.

    Raises:
        msgspec.ValidationError: an unknown network or field, or a value out of bounds.
    """
    spec: Spec = msgspec.convert(fields, Union[tuple(SPECS.values())])  # noqa: UP007 - built while running
    return spec


def make_spec(name: str, settings: Iterable[str] = ()) -> Spec:
    """A network's spec with some fields set; see `change_spec`.

    Raises:
        BadInput: an unknown network.
    """
    if name not in SPECS:
        raise BadInput(f"a network of {', '.join(names())}", repr(name), "give another with --network")
    return change_spec(SPECS[name](), settings)


def change_spec(spec: Spec, settings: Iterable[str]) -> Spec:
    """A spec with some fields set.

    Args:
        settings: `key=value`; of a field within a field `key.key=value`; `null` leaves an optional part out.

    Raises:
        BadInput: an unknown field, or a value that no such network can have.
    """
    fields: dict[str, Any] = msgspec.to_builtins(spec)
    known = ", ".join(f"{key}={_text(value)}" for key, value in fields.items() if key != "architecture")
    for setting in settings:
        key, equals, value = setting.partition("=")
        *path, last = key.split(".")
        place: Any = fields
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict):
            raise BadInput("--set KEY=VALUE of the network's fields", repr(setting), f"it has {known}")
        place[last] = _value(value)
    try:
        return read_spec(fields)
    except msgspec.ValidationError as error:
        raise BadInput("a network that can be built", str(error), f"change --set; it has {known}") from None


def _text(value: Any) -> str:
    return "..." if isinstance(value, dict) else msgspec.json.encode(value).decode()


def _tag(spec: type[Spec]) -> str:
    return str(getattr(getattr(spec, "__struct_config__", None), "tag", None))


def _value(text: str) -> Any:
    """JSON where it is that, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
