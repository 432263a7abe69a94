"""Expression numbers of real faces: the nets against an independent forward pass, and faces however they are framed."""

from contextlib import closing
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from engines.expressions import MOUTH
from engines.taxonomy import EMOTIONS
from events.face_emotion import against_neutral, shares_of
from realtime.capture.order import ViewSpec
from realtime.capture.sources.base import Image
from realtime.capture.views.expression_nets import ExpressionNets, crops
from realtime.capture.views.make import make_view
from realtime.capture.views.people import Box
from realtime.clock import NS_PER_S
from realtime.config import ViewSettings

pytestmark = pytest.mark.slow

# Logits of the noise below by a forward pass written for the purpose in torch, with the manifest's quantisation and the
# HDF5 file's tensors; fer's in face-api's order.
FACE_API = (-1.5559236, -3.5258574, -1.4161006, -3.444187, -5.079831, -4.1331053, -2.7838786)
FER = (0.20196748, 4.1730113, 4.21686, 2.4540982, 2.1138058, -14.048914, 0.14199102)


@pytest.fixture(scope="module")
def nets(expression_models):
    return ExpressionNets(expression_models[0].parent)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_both_nets_give_what_an_independent_forward_pass_gives(nets):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (3, 112, 112, 3), np.uint8)
    grey = rng.integers(0, 256, (3, 64, 64), np.uint8)
    found = nets.logits(colour, grey)
    assert found.shape == (3, 14)
    assert found[0] == pytest.approx([*FACE_API, *FER], abs=1e-3)
    assert nets.logits(colour[:1], grey[:1]) == pytest.approx(found[:1], abs=1e-4)


def test_a_crop_is_barred_where_the_box_is_no_square_and_ends_at_the_picture(nets):
    pixels = np.full((100, 200, 3), 200, np.uint8)
    colour, grey = crops(pixels, Box(50.0, 20.0, 90.0, 100.0))
    assert (colour.shape, grey.shape) == ((112, 112, 3), (64, 64))
    assert not colour[:, :27].any()  # half as wide as high: a quarter is black on either side
    assert not colour[:, -27:].any()
    assert (colour[:, 29:-29] == 200).all()
    assert (grey == 200).all()
    for outside in (Box(-50.0, -50.0, -10.0, -10.0), Box(300.0, 300.0, 340.0, 340.0)):
        assert crops(pixels, outside)[0].shape == (112, 112, 3)


def shown(view, pixels, seconds=2.0):
    """The numbers after the same picture for so long, and when the first came."""
    first, numbers = None, None
    for at_ns in range(0, round(seconds * NS_PER_S), NS_PER_S // 4):
        image = Image(pixels, at_ns, 0, at_ns)
        view.apply(image)
        numbers = view.expression(image)
        first = at_ns if first is None and numbers is not None else first
    return numbers, first


@pytest.mark.parametrize("crop", ["center", "full"])
@pytest.mark.usefixtures("nets", "face_model")
def test_under_a_view_of_pixels_the_smile_of_a_photograph_is_read(portrait, crop):
    spec = ViewSpec(112, settings=ViewSettings(crop=crop), expression=True)
    with closing(make_view(spec)) as view:
        numbers, first = shown(view, portrait, 0.5)
        assert first == 0
        said = shares_of(against_neutral(numbers[None]))
        assert 0.0 < numbers[MOUTH] < 0.3  # a mesh was found, whose lips hardly part
        assert EMOTIONS[int(said.shares.argmax())] == "joy"
        assert view.expression(Image(np.full_like(portrait, 128), 9, 0, 9 * NS_PER_S)) is None


@pytest.mark.usefixtures("nets", "trackers")
@pytest.mark.parametrize(
    ("part", "side"), [((90, 320, 150, 355), 300), ((110, 300, 165, 345), 48), ((40, 380, 100, 420), 200)]
)
def test_a_head_without_a_body_is_found_within_a_second_and_a_half(portrait, part, side):
    top, bottom, left, right = part
    head = cv2.resize(portrait[top:bottom, left:right], (side, side), interpolation=cv2.INTER_AREA)
    with closing(make_view(ViewSpec(0, coordinates=True, sees="landmarks", expression=True))) as view:
        numbers, first = shown(view, head)
    assert numbers is not None
    assert first <= 1.5 * NS_PER_S
