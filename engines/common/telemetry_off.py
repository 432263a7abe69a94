"""Nothing about an interview leaves this machine: switch off what the runtimes tell their vendors.

Imported by the package itself, so that it comes before any runtime is.
"""

from __future__ import annotations

import os
import sys

# ONNX Runtime 1.29 and later: its own switch, read when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# OpenVINO has no switch but falls back to a silent stub where its telemetry package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
