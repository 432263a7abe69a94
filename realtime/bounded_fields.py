"""Bounded fields: every number of a message is checked before anything is allocated from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MAX_SIDE = 1440  # pixels; bounds every image that crosses the wire; squared, the pixels of a 1080p frame

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
SideOrNone = Annotated[int, Meta(ge=0, le=MAX_SIDE)]  # 0: no image
Count = Annotated[int, Meta(ge=0, le=2**62)]
Id = Annotated[int, Meta(ge=0, le=2**31)]
Time = Annotated[int, Meta(ge=-(2**62), le=2**62)]  # ns
