"""Views of pixels: the official crop, the whole picture, or a steady square around the person."""

from __future__ import annotations

import msgspec

from engines.preprocess import center_crop, center_seen, letterbox, short_side_for
from realtime.capture.sources.base import Image
from realtime.capture.views.base import View
from realtime.capture.views.faces import FaceReader, FaceView
from realtime.capture.views.people import Box, Follower, PersonFinder
from realtime.clock import NS_PER_S
from realtime.messages import MOST_PEOPLE, Framing, UInt8Array

SEARCH_EVERY_NS = NS_PER_S // 4


class CenterView(View):
    """The official crop: short side resized, centre kept."""

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        height, width = image.pixels.shape[:2]
        framing = Framing(
            seen=center_seen(height, width, self.size), magnified=short_side_for(self.size) / min(height, width)
        )
        return center_crop(image.pixels, self.size), framing


class FullView(View):
    """The whole picture, letterboxed."""

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        return letterbox(image.pixels, self.size), Framing(magnified=self.size / max(image.pixels.shape[:2]))


class PersonView(View):
    """A steady square around the seated person; the whole picture while there is nobody.

    The person is looked for a few times a second of media time, not in every picture: a search costs several times
    what everything else here does, and a seated person does not leave the margin between two searches. Media time,
    so that a recording gives the same crops on every machine.
    """

    def __init__(
        self,
        size: int,
        margin: float,
        finder: PersonFinder,
        faces: FaceView | None = None,
        reader: FaceReader | None = None,
    ) -> None:
        super().__init__(size, faces, reader)
        self._finder = finder
        self._follower = Follower(margin)
        self._next_search_ns: int | None = None
        self._found, self._people = False, 0

    def apply(self, image: Image) -> tuple[UInt8Array, Framing]:
        height, width = image.pixels.shape[:2]
        if self._next_search_ns is None or image.media_ns >= self._next_search_ns:
            self._next_search_ns = image.media_ns + SEARCH_EVERY_NS
            people = self._finder.find(image.pixels, image.media_ns)
            self._people = min(len(people), MOST_PEOPLE)
            self._found = self._follower.update(image.media_ns, people, (height, width))
        square = self._follower.at(image.media_ns)
        if square is None:
            framing = Framing(magnified=self.size / max(height, width), person_found=False)
            return letterbox(image.pixels, self.size), framing
        body, framing = square.cut(image.pixels, self.size)
        followed_ns = self._follower.followed_ns(image.media_ns) if self._found else None
        framing = msgspec.structs.replace(
            framing, person_found=self._found, people=self._people, followed_ns=followed_ns
        )
        return body, framing

    @property
    def _person(self) -> Box | None:
        return self._follower.person

    def close(self) -> None:
        super().close()
        self._finder.close()
