"""Packets into undamaged pictures: what is damaged, and whatever rests on it, is left out and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.error
from av.codec.context import Flags
from av.video.frame import PictureType
from av.video.stream import VideoStream

from realtime.capture.sources.base import DAMAGED, Source
from realtime.capture.sources.jpeg import packet_check

# Without it MJPEG, MPEG-2, H.263 and others paint over what they cannot read, and say nothing.
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
MAX_WAIT = 600  # pictures left out while waiting for a whole one; encoders send one every 250 unless told otherwise


@dataclass(frozen=True, slots=True)
class _Origin:
    """The packet that a picture comes from."""

    index: int  # in decoding order
    entry: bool  # the container or the parser says that decoding may begin here


class CleanDecoder:
    """Decodes one video stream and hands out only pictures that are as they were recorded.

    A damaged or missing picture damages those built on it: everything from there on is left out until the next key
    picture. Streams without key pictures that renew the picture bit by bit (intra refresh) are clean again when one
    whole cycle, from one recovery point to the next, follows the damage. Where neither comes within `MAX_WAIT`
    pictures, only what is itself damaged is left out from then on, and `notice` says so. Damage that the decoder would
    paint over is looked for first, where the codec allows it (`packet_check`).

    Every picture that is decoded or found damaged is counted in the source's `pictures`, and every one that is left out
    in its `left_out`.

    """

    def __init__(self, stream: VideoStream, source: Source, threads: str = "NONE") -> None:
        """Set the stream's decoder up, which must not have decoded anything yet.

        Args:
            threads: NONE, SLICE or AUTO, as `thread_type`.
        """
        stream.thread_type = threads
        context = stream.codec_context
        context.copy_opaque = True  # each picture says which packet it comes from
        context.flags |= int(Flags.output_corrupt)  # to be counted
        context.options = {**context.options, **_STRICT}
        self._source = source
        self._delayed = threads == "AUTO"  # an error is told some packets later
        self._packets = self._output = 0  # so many have gone in; the next index that has not come out
        self._damage: set[int] = set()  # indices of damaged pictures that later ones may rest on
        self._failed: set[int] = set()  # counted already, should they come out in spite of it
        self._recovery: int | None = None  # index of the last recovery point
        self._last_was_entry = False
        self._waited = 0
        self._check = packet_check(context.name)
        self._going_on = ""  # why whole pictures are no longer waited for

    @property
    def notice(self) -> str:
        """What people must know of the stream, one line; empty where it is as it should be."""
        return ", ".join(filter(None, (self._going_on, self._check.notice)))

    @property
    def going_on(self) -> bool:
        """Whole pictures are no longer waited for."""
        return bool(self._going_on)

    def decode(self, packet: av.Packet[VideoStream]) -> Iterator[av.VideoFrame]:
        """The clean pictures that this packet brings out, in order of presentation; an empty packet ends the stream."""
        origin = _Origin(self._packets, packet.is_keyframe)
        packet.opaque = origin
        self._packets += 1
        if packet.is_corrupt:
            self._damage.add(origin.index)
        if packet.size and self._check.damaged(bytes(packet)):  # of a codec without pictures that rest on others
            self._count(clean=False)
            return
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            frames = []
            index = self._output if self._delayed else origin.index
            self._damage.add(index)
            self._failed.add(index)
            self._count(clean=False)
        for frame in frames:
            if self._judge(frame):
                yield frame

    def _judge(self, frame: av.VideoFrame) -> bool:
        """Count a decoded picture; true if it is clean."""
        origin = frame.opaque
        if not isinstance(origin, _Origin):  # made up by the decoder in the place of a missing one
            self._damage.add(self._output)
            self._count(clean=False)
            return False
        index, self._output = origin.index, max(self._output, origin.index + 1)
        if frame.is_corrupt:
            self._damage.add(index)
        damaged = index in self._damage
        if not damaged:
            self._forgive(frame, origin)
        if index in self._failed:
            self._failed.discard(index)
            return False
        clean = not (damaged if self._going_on else any(at <= index for at in self._damage))
        self._count(clean)
        return clean

    def _forgive(self, frame: av.VideoFrame, origin: _Origin) -> None:
        """Forget the damage that cannot show any more from this undamaged picture on."""
        until = -1
        if frame.key_frame and frame.pict_type in (PictureType.I, PictureType.NONE):
            until = origin.index
        elif origin.entry and not self._last_was_entry:  # marks on every picture would mean nothing
            if self._recovery is not None:
                until = self._recovery
            self._recovery = origin.index
        self._last_was_entry = origin.entry
        if self._damage:
            self._damage = {at for at in self._damage if at >= until}

    def _count(self, clean: bool) -> None:
        self._source.pictures += 1
        if clean:
            self._waited = 0
            return
        self._source.left_out[DAMAGED] += 1
        self._waited += 1
        if self._waited > MAX_WAIT and not self._going_on:
            self.go_on(f"no whole picture among {MAX_WAIT}")

    def go_on(self, reason: str) -> None:
        """From now on leave out only what is itself damaged: a whole picture has been waited for long enough."""
        self._going_on = f"{reason}: going on with what there is"
