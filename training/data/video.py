"""Frames of a trimmed clip, by number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from engines.common.errors import BadInput

UInt8Array = npt.NDArray[np.uint8]
VIDEO, FIX = "a video that can be read", "replace it, or take it out of the list"
Indices = npt.NDArray[np.int64]


def read_frames(path: Path, choose: Callable[[int], Indices]) -> list[UInt8Array]:
    """Decode the chosen frames of a video.

    Args:
        path: the video.
        choose: from the number of frames N (at least 1) to the wanted indices, ascending, in 0..N-1.

    Returns:
        One uint8 (H, W, 3) RGB image per index. An index beyond what can be decoded of a damaged end gives the last
        image before it.

    Raises:
        BadInput: not a video, or nothing in it can be decoded.
    """
    try:
        count = _count(path)
        return _decode(path, choose(count)) if count else _refuse(path, "no pictures")
    except OSError as error:  # PyAV's errors on files are OSErrors too
        return _refuse(path, error.strerror or type(error).__name__)
    except av.error.FFmpegError as error:
        return _refuse(path, error.strerror or type(error).__name__)


def frame_times_ns(path: Path) -> Indices:
    """Times of the pictures of a video from its first one, ns. Raises BadInput: not a video, or no pictures."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            packets = [one for one in container.demux(stream) if one.size and not one.is_discard]
            times = sorted(float(one.pts * one.time_base) for one in packets if one.pts is not None)
    except (OSError, IndexError, av.error.FFmpegError) as error:
        raise BadInput(VIDEO, f"{path} ({type(error).__name__})", FIX) from None
    if not times:
        raise BadInput(VIDEO, f"{path} (no pictures)", FIX)
    return np.round((np.array(times) - times[0]) * 1e9).astype(np.int64)


def upright(frame: av.VideoFrame) -> UInt8Array:
    """uint8 (H, W, 3) RGB, turned as the file's rotation has it."""
    image = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return np.ascontiguousarray(image, np.uint8)


def _refuse(path: Path, why: str) -> list[UInt8Array]:
    raise BadInput(VIDEO, f"{path} ({why})", FIX)


def _count(path: Path) -> int:
    """Number of pictures, from the packets: the container's own count is often missing or wrong."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return 0
        return sum(1 for packet in container.demux(video=0) if packet.size and not packet.is_discard)


def _decode(path: Path, indices: Indices) -> list[UInt8Array]:
    images: list[UInt8Array] = []
    wanted = indices.tolist()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"  # clips are read in parallel, each on one core
        newest: av.VideoFrame | None = None
        decoded = -1
        frames = container.decode(video=0)
        for index in wanted:
            while decoded < index:
                frame = next(frames, None)
                if frame is None:
                    break
                newest, decoded = frame, decoded + 1
            if newest is None:
                return _refuse(path, "no pictures")
            images.append(upright(newest))
    return images
