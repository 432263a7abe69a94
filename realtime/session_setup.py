"""What all cameras of a session share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime.analysis.lane import Model
from realtime.capture.order import ViewSpec
from realtime.clock import Clock
from realtime.output.event_stream import EventStream
from realtime.output.lines import SessionLine
from realtime.request import Request


@dataclass(frozen=True, slots=True)
class Setup:
    """What all cameras of a session share.

    Attributes:
        models: the one that finds actions, and those that go with it.
        folder: for sockets and the logs of capture processes.
    """

    request: Request
    models: tuple[Model, ...]
    stream: EventStream
    folder: Path
    clock: Clock

    @property
    def view(self) -> ViewSpec:
        """What each camera is asked for."""
        return self.request.view([model.bundle for model in self.models])

    def session_line(self, state: str, detail: str = "", camera_id: int | None = None) -> SessionLine:
        """The session, or one of its cameras, began, changed or ended."""
        sources, actions = self.request.sources, self.models[0]
        source = self.request.source_names if camera_id is None else sources[camera_id].name
        return SessionLine(state, actions.bundle.card.name, actions.runtime.name, source, detail, camera_id)
