"""What an analysis orders from a capture process, on this machine or on another."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from realtime.bounded_fields import Id, SideOrNone
from realtime.config import ViewSettings


class ViewSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a camera's view is asked for."""

    size: SideOrNone  # of the body image, pixels; 0: none is made
    coordinates: bool = False  # landmarks as numbers, where it sees these
    sees: Literal["rgb", "landmarks"] = "rgb"  # as the model's card says
    settings: ViewSettings = ViewSettings()  # which part of a picture of pixels
    face_size: SideOrNone = 0  # side of the face image, pixels; 0: none is made
    face_margin: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.3  # around the face, in pictures of pixels
    expression: bool = False  # expression numbers of the face
    preview: bool = False  # a small body image for the overlay
    codes: bool = False  # read the codes of a filmed screen


class CaptureOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera's view, and under which number it is sent."""

    view: ViewSpec
    camera_id: Id
    queue_frames: Annotated[int, Meta(ge=1, le=1000)]  # that may wait to be sent
    generation: Id = 0  # how often this camera's process has been restarted
