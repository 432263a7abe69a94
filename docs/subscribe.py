"""Read a running session's events from another process.

    run_live.py live --publish tcp://127.0.0.1:5561
    python docs/subscribe.py tcp://127.0.0.1:5561
"""

import json
import sys

import zmq

socket = zmq.Context.instance().socket(zmq.SUB)
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5561")
socket.subscribe(b"action")  # or b"stats", b"session"; b"" for everything

while True:
    _, line = socket.recv_multipart()
    event = json.loads(line)
    print(f"{event['onset_s']:8.2f} s  {event['state']:<12} {event['action']} ({event['confidence']:.2f})", flush=True)
