"""Damage in MJPEG pictures that FFmpeg paints over in silence: libjpeg reads the same bytes, and warns."""

from __future__ import annotations

import simplejpeg

LEAST_PICTURES = 8  # before it is judged whether a camera's pictures are all like that


class PacketCheck:
    """Whether a packet is damaged, as far as that can be told before it is decoded. This one cannot tell.

    Attributes:
        notice: what people must know of it, one line; empty where there is nothing.
    """

    notice = ""

    def damaged(self, data: bytes) -> bool:  # noqa: ARG002 - nothing is known of it
        return False


class JpegCheck(PacketCheck):
    """Decodes each picture at an eighth of its size, which costs a third of decoding it.

    Some cameras write pictures that are whole and yet never quite valid: once more than half of the pictures fail, the
    check is switched off.
    """

    def __init__(self) -> None:
        self._pictures = self._failed = 0

    def damaged(self, data: bytes) -> bool:
        if self.notice:
            return False
        self._pictures += 1
        try:
            simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
        except ValueError:
            self._failed += 1
            if self._pictures >= LEAST_PICTURES and 2 * self._failed > self._pictures:
                self.notice = "every picture is invalid JPEG: small damage is not noticed"
            return not self.notice
        return False


def packet_check(codec: str) -> PacketCheck:
    """The check for streams of a codec, as FFmpeg names it."""
    return JpegCheck() if codec == "mjpeg" else PacketCheck()
