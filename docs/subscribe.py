"""Read a running session's events from another process.

run_live.py live --publish tcp://127.0.0.1:5561
python docs/subscribe.py tcp://127.0.0.1:5561 [lab.key]     # the key file that `run_live.py keys` made
"""

import json
import sys
from pathlib import Path

import zmq

socket = zmq.Context.instance().socket(zmq.SUB)
if len(sys.argv) > 2:
    keys = json.loads(Path(sys.argv[2]).read_text())
    socket.curve_serverkey = keys["server"].encode()
    socket.curve_publickey = keys["own"]["public"].encode()
    socket.curve_secretkey = keys["own"]["secret"].encode()
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5561")
socket.subscribe(b"action")  # or b"stats", b"session"; b"" for everything

while True:
    _, line = socket.recv_multipart()
    event = json.loads(line)
    print(f"{event['onset_s']:8.2f} s  {event['state']:<12} {event['action']} ({event['confidence']:.2f})", flush=True)
