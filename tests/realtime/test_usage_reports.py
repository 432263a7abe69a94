"""MediaPipe's usage reports go to the proxy that we hand it, which in use does not exist, whatever the user exempts."""

import os
import socket
import subprocess
import sys

import pytest

from realtime.capture.mediapipe.model_files import POSE, model_path

pytestmark = pytest.mark.slow

FIND = """
import sys, time
import numpy as np
from pathlib import Path
from realtime.capture.mediapipe import process
from realtime.capture.views import people
process.NOWHERE = f"http://127.0.0.1:{sys.argv[2]}"
finder = people.PersonFinder(Path(sys.argv[1]))
for step in range(5):
    finder.find(np.zeros((480, 640, 3), np.uint8), step * 33_000_000)
finder.close()  # this is when it reports
time.sleep(10)
"""


@pytest.mark.parametrize(
    "exempt",
    [{}, {"no_proxy": "*"}, {"no_proxy": "com, play.googleapis.com"}, {"NO_PROXY": ".googleapis.com"}],
    ids=str,
)
def test_reports_are_sent_nowhere(exempt):
    model = model_path(POSE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        child = subprocess.Popen(
            [sys.executable, "-c", FIND, str(model), str(listener.getsockname()[1])], env=os.environ | exempt
        )
        try:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100).startswith(b"CONNECT ")  # asked to pass it on, and we would have to agree
        finally:
            child.kill()
            child.wait()
