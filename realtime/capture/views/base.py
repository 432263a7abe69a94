"""What every view has in common: it turns a picture into what an engine may see, and nothing else leaves it."""

from __future__ import annotations

import abc

import numpy as np
import numpy.typing as npt

from realtime.capture.sources.base import Image
from realtime.capture.views.faces import FaceView
from realtime.capture.views.people import Box
from realtime.messages import Framing

UInt8Array = npt.NDArray[np.uint8]


class View(abc.ABC):
    """Turns a picture into the square body crop, and the face where it is wanted, and says how it was cut."""

    def __init__(self, size: int, faces: FaceView | None = None) -> None:
        """faces: what finds the face in a picture of pixels; None: it is not wanted."""
        self.size = size
        self._faces = faces

    @abc.abstractmethod
    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        """The crop, uint8 (S, S, 3) RGB, and its framing. The array is the caller's: the view leaves it alone."""

    def face(self, image: Image) -> UInt8Array | None:
        """The face of the picture that `apply` was just given, uint8 (F, F, 3); None: no fresh one, or not wanted."""
        return self._faces.apply(image.pixels, image.media_ns, self._person) if self._faces else None

    @property
    def _person(self) -> Box | None:
        """Whose face it should be, where that is known."""
        return None

    def close(self) -> None:
        """Release what the view holds."""
        if self._faces is not None:
            self._faces.close()
