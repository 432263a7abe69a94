"""Where a camera's frames come in, and what keeps their sender going: on this machine or on another."""

from __future__ import annotations

import os
from pathlib import Path

import zmq

from engines.common.errors import BadInput
from realtime.capture.order import CaptureOrder
from realtime.capture.process import CaptureSpec
from realtime.capture.sources import RemoteSpec
from realtime.capture.sources.urls import control_endpoint
from realtime.capture.supervisor import CaptureProcess
from realtime.capture.views.base import PREVIEW_SIDE
from realtime.remote.analysis_end import RemoteCapture
from realtime.session_setup import Setup
from realtime.transport.authentication import CAMERAS, link_keys, load_keys
from realtime.transport.wire import Receiver

Capture = CaptureProcess | RemoteCapture
Link = tuple[Receiver, Capture]


def open_link(camera_id: int, setup: Setup) -> Link:
    """The receiver of a camera, and its capture, which is not started yet.

    Raises:
        BadInput: a camera of another machine without keys, or an endpoint that cannot be had.
    """
    source, supervision = setup.request.sources[camera_id], setup.request.config.supervision
    order = CaptureOrder(setup.view, camera_id, supervision.queue_frames)
    if isinstance(source, RemoteSpec):
        return _open_remote(source, order, setup)
    log = setup.folder / f"capture-{camera_id}.log"
    endpoint = f"ipc://{setup.folder}/frames-{camera_id}" if os.name == "posix" else "tcp://127.0.0.1:*"
    server_keys, client_keys = link_keys(endpoint)
    receiver = Receiver(endpoint, order.queue_frames, server_keys, _largest_side(order))
    spec = CaptureSpec(
        source, order, receiver.endpoint, client_keys, setup.request.speed, setup.request.media(camera_id)
    )
    return receiver, CaptureProcess(spec, log, setup.clock, supervision)


def _open_remote(source: RemoteSpec, order: CaptureOrder, setup: Setup) -> Link:
    folder = setup.request.config.output.keys
    if folder is None:
        raise BadInput("--listen with --keys DIR", "--listen alone", "make keys with `keys DIR --camera NAME`")
    keys, endpoint = load_keys(Path(folder), CAMERAS), source.endpoint
    try:
        receiver = Receiver(endpoint, order.queue_frames, keys, _largest_side(order))
        endpoint = control_endpoint(endpoint)
        return receiver, RemoteCapture(endpoint, keys, order, setup.clock)
    except zmq.ZMQError as error:
        raise BadInput(
            "a free endpoint for --listen",
            f"{endpoint} ({error.strerror})",
            "choose another address or port, or stop what holds it",
        ) from None


def _largest_side(order: CaptureOrder) -> int:
    return max(order.view.size, order.view.face_size, PREVIEW_SIDE)
