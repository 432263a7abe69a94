"""What Ray adds to an archive: the same recordings on a cluster of one slot against one local worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.archives import COUNTS, SECONDS, archive_times, fitted, replay_s
from benchmarks.harness import Result, machine


def run() -> Result:
    """Seconds a recording through Ray, of one machine and one slot, against one local worker, in one run."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="manet-live-bench-") as name:
        folder = Path(name)
        for part in ("local", "ray"):
            (folder / part).mkdir()
        plain = replay_s(folder)
        local = fitted(COUNTS, archive_times(folder / "local", ["--workers", "1"]))
        cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            details = fitted(COUNTS, archive_times(folder / "ray", ["--ray", cluster.address]))
        finally:
            cluster.shutdown()
    ours, other = float(details["s_a_recording"]), float(local["s_a_recording"])
    return Result(
        ours=ours,
        other=other,
        ratio=other / ours,
        unit="s/recording",
        compared=f"archives of {', '.join(map(str, COUNTS))} recordings of {SECONDS:g} s on a Ray cluster of one "
        "slot against one local worker",
        machine=machine(),
        details=details | {"one plain replay, s": plain} | {f"local {key}": value for key, value in local.items()},
    )
