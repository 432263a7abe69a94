"""The view that an order asks for, and the model files that it needs."""

from __future__ import annotations

from realtime.capture.mediapipe.lean_pose import without_masks
from realtime.capture.mediapipe.model_files import (
    EXPRESSION_NETS,
    FACE,
    HAND,
    POSES,
    ModelFile,
    model_path,
    whole_model,
)
from realtime.capture.mediapipe.task import VideoTask
from realtime.capture.order import ViewSpec
from realtime.capture.views.base import View
from realtime.capture.views.crops import CenterView, FullView, PersonView
from realtime.capture.views.expression_nets import ExpressionNets
from realtime.capture.views.faces import FaceFinder, FaceReader, FaceView
from realtime.capture.views.landmark_tracker import LandmarkTracker
from realtime.capture.views.landmark_view import LandmarkView
from realtime.capture.views.people import PersonFinder


def model_files(spec: ViewSpec) -> list[ModelFile]:
    """What a view of untracked pictures needs."""
    nets = [*EXPRESSION_NETS] if spec.expression else []
    pose = POSES[spec.settings.pose]
    if spec.sees == "landmarks":
        return [pose, HAND, FACE, *nets]
    return [pose] * (spec.settings.crop == "person") + [FACE] * (bool(spec.face_size) or spec.expression) + nets


def fetch_models(spec: ViewSpec) -> None:
    """Fetch what the view needs, before a process that must not block is started. Quick when nothing is missing.

    Raises:
        BadInput: a model file cannot be had.
    """
    for model in model_files(spec):
        path = model_path(model)
        if model in POSES.values():
            without_masks(path)


def make_view(spec: ViewSpec, tracked: bool = False, keep: bool = False) -> View:
    """The view that is asked for.

    Args:
        tracked: the source brings its own landmarks.
        keep: they are recorded.

    Raises:
        BadInput: a model file is missing or damaged; `fetch_models` fetches it.
    """
    reader = _reader() if spec.expression and not tracked else None
    pose = POSES[spec.settings.pose]
    if spec.sees == "landmarks":
        tracker = None if tracked else LandmarkTracker(*map(whole_model, (pose, HAND, FACE)))
        return LandmarkView(spec, tracker, reader, keep)
    faces = FaceView(spec.face_size, spec.face_margin, FaceFinder(whole_model(FACE))) if spec.face_size else None
    if spec.settings.crop == "center":
        return CenterView(spec.size, faces, reader)
    if spec.settings.crop == "full":
        return FullView(spec.size, faces, reader)
    return PersonView(spec.size, spec.settings.person_margin, PersonFinder(whole_model(pose)), faces, reader)


def _reader() -> FaceReader:
    folders = {whole_model(model).parent for model in EXPRESSION_NETS}
    face = whole_model(FACE)
    return FaceReader(ExpressionNets(folders.pop()), FaceFinder(face), VideoTask("face", face, num_faces=1))
