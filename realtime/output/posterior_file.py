"""Posteriors of a recorded session: one record of fixed size a moment, so that a file that was cut off is read, too.

A record: camera (uint16), seconds since the session's first picture (float64), then the posteriors of the 52 actions
and of the 7 body parts (float16, NaN where the model does not score parts); little-endian, without a header.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.taxonomy import ACTIONS, BODY_PARTS
from realtime.output.lines import Posteriors

POSTERIORS_FILE = "posteriors.bin"  # of a record
COLUMNS = (*(action.name for action in ACTIONS), *(f"part: {part}" for part in BODY_PARTS))
RECORD = np.dtype([("camera", "<u2"), ("time_s", "<f8"), ("values", "<f2", (len(COLUMNS),))])


def encode_posteriors(posteriors: Posteriors) -> bytes:
    """One record."""
    return np.array([(posteriors.camera, posteriors.time_s, posteriors.values)], RECORD).tobytes()


def read_posteriors(path: Path, camera: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Times in seconds of the session's clock (M,) and posteriors (M, 59) of one camera; without half a last record."""
    data = path.read_bytes()
    found = np.frombuffer(data, RECORD, len(data) // RECORD.itemsize)
    found = found[found["camera"] == camera]
    return found["time_s"].astype(np.float64), found["values"].astype(np.float32)
