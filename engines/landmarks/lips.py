"""How far the lips are apart: tenths of the distance between the eyes' outer corners."""

from __future__ import annotations

import numpy as np

from engines.landmarks.points import FACE_MESH_INDICES, Float32Array

_LIPS, _EYES = (13, 14), (33, 263)  # points of MediaPipe's face mesh


def lip_gap(mesh: Float32Array) -> Float32Array:
    """(...) of face meshes (..., 468 or more, 2 or 3) in any unit."""
    gap, eyes = (np.linalg.norm(mesh[..., a, :] - mesh[..., b, :], axis=-1) for a, b in (_LIPS, _EYES))
    return np.asarray(10.0 * gap / np.maximum(eyes, 1e-6), np.float32)


def lip_gap_of(face: Float32Array) -> Float32Array:
    """The same of the points that are kept, (..., FACE_POINTS, 3)."""
    mesh = np.zeros((*face.shape[:-2], max(FACE_MESH_INDICES) + 1, face.shape[-1]), face.dtype)
    mesh[..., list(FACE_MESH_INDICES), :] = face
    return lip_gap(mesh)
