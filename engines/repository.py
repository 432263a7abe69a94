"""A model repository for Triton Inference Server, made of bundles."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.common.new_files import check_empty_folder
from engines.runtimes.nvidia.plans import Record

MOST_WINDOWS, QUEUE_US = 16, 5_000  # of a batch; how long a window may wait for others, microseconds
PLAN = "tensorrt"  # the runtime whose plans Triton reads
_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}

README = """# Models of manet-live for Triton Inference Server

```sh
docker run --rm --gpus all -p 127.0.0.1:8001:8001 -v "$PWD":/models IMAGE_OF_TRITON \\
    tritonserver --model-repository=/models
python run_live.py live --model NAME --engine inference-server --server localhost:8001
```

| model | what | a window |
| --- | --- | --- |
{rows}

Windows of several rooms that arrive within {queue_ms:g} ms of each other are judged together. Each model is warmed up
before it is ready, and only its newest version is served: put a new one into a folder `2`. A plan fits one kind of GPU
and one version of TensorRT: build it on the server, with the TensorRT of its image, by
`python -m engines build MODEL --runtime tensorrt --batch {most}`. Other hosts reach the server through TLS
(`--grpc-use-ssl`, or a proxy in front, which may ask for a token).
"""


def write_repository(bundles: Sequence[Bundle], out: Path) -> list[str]:
    """One model for each bundle, and one more for its TensorRT plan where it has one. Returns their names.

    Raises:
        BadInput: two bundles of one name, or something stands at `out`.
    """
    names = [bundle.card.name for bundle in bundles]
    if len(set(names)) < len(names):
        raise BadInput("models of different names", ", ".join(names), "export one under another --name")
    check_empty_folder(out, "--out")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for bundle in bundles:
        rows.append(_write(bundle, out, bundle.card.name, "onnx", bundle.onnx_path, MOST_WINDOWS))
        plan = bundle.engines_path / f"{PLAN}.plan"
        if plan.exists():
            record = msgspec.json.decode(plan.with_suffix(".json").read_bytes(), type=Record)
            rows.append(_write(bundle, out, f"{bundle.card.name}-{PLAN}", "plan", plan, record.batch))
    text = README.format(rows="\n".join(rows), queue_ms=QUEUE_US / 1000, most=MOST_WINDOWS)
    (out / "README.md").write_text(text, encoding="utf-8")
    return [row.split("`")[1] for row in rows]


def window_bytes(bundle: Bundle) -> int:
    """What a window of a model is on the wire, without gRPC's few bytes."""
    network = bundle.card.network
    return sum(math.prod(shape) for shape in network.inputs.values()) * np.dtype(network.input_dtype).itemsize


def _write(bundle: Bundle, out: Path, name: str, kind: str, model: Path, most: int) -> str:
    """A model's folder; returns its row of the README."""
    version = out / name / "1"
    version.mkdir(parents=True)
    shutil.copyfile(model, version / f"model.{kind}")
    (out / name / "config.pbtxt").write_text(_config(bundle, name, kind, most), encoding="utf-8")
    state = "" if bundle.card.trained else ", UNTRAINED"
    return f"| `{name}` | {kind}, {bundle.card.precision}{state} | {window_bytes(bundle) / 1000:.0f} kB |"


def _config(bundle: Bundle, name: str, kind: str, most: int) -> str:
    network = bundle.card.network
    input_type = _TYPES[network.input_dtype]
    platform = {"onnx": "onnxruntime_onnx", "plan": "tensorrt_plan"}[kind]
    preferred = sorted({count for count in (4, 8, most) if count <= most})
    batching = f"preferred_batch_size: {preferred} max_queue_delay_microseconds: {QUEUE_US} "
    warm = "".join(
        f'\n  inputs {{ key: "{one}" value {{ data_type: {input_type} dims: {list(shape)} zero_data: true }} }}'
        for one, shape in network.inputs.items()
    )
    warmups = "".join(
        f'model_warmup {{\n  name: "{count} windows" batch_size: {count}{warm}\n}}\n' for count in sorted({1, most})
    )
    return (
        f'name: "{name}"\nplatform: "{platform}"\nmax_batch_size: {most}\n'
        f"{_tensors('input', network.inputs, input_type)}{_tensors('output', network.outputs, 'TYPE_FP32')}"
        f"dynamic_batching {{ {batching if most > 1 else ''}}}\n"
        f"version_policy {{ latest {{ num_versions: 1 }} }}\n{warmups}"
    )


def _tensors(kind: str, tensors: Mapping[str, tuple[int, ...]], data_type: str) -> str:
    return "".join(
        f'{kind} {{ name: "{name}" data_type: {data_type} dims: {list(shape)} }}\n' for name, shape in tensors.items()
    )
