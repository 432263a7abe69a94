"""An archive on a Ray cluster of several nodes on this machine; one is lost on the way, another joins."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, write_numbered
from tests.lab.test_archive import SETTINGS, archive, files_of, finish
from tests.realtime.sessions import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
RECORDINGS = int(os.environ.get("ARCHIVE_RECORDINGS", "12"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("interviews")
    write_numbered(made / "000.mp4", range(0, 3000, 40))
    for at in range(1, RECORDINGS - 1):
        shutil.copy(made / "000.mp4", made / f"{at:03}.mp4")
    (made / "broken.mp4").write_text("no video")
    return made


def test_a_cluster_that_loses_a_node_and_gains_one_gives_the_local_dataset(folder, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install manet-live[cluster]")
    from ray.cluster_utils import Cluster

    here, there = tmp_path / "here", tmp_path / "there"
    finish(archive(folder, here))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        process = archive(folder, there, "--ray", cluster.address)
        until_s = time.monotonic() + 300
        while len(list(there.glob("recording=*"))) < 2 and time.monotonic() < until_s:
            time.sleep(0.2)
        cluster.remove_node(nodes[0], allow_graceful=False)
        cluster.add_node(num_cpus=1)
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
    finally:
        cluster.shutdown()
    assert f"{RECORDINGS - 1} of {RECORDINGS} recordings archived, 1 failed" in out
    assert files_of(here) == files_of(there)


def test_a_cluster_and_a_job_as_the_docs_start_them(folder, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install manet-live[cluster]")
    pytest.importorskip("aiohttp_cors", reason="Ray's jobs are not installed: pip install manet-live[cluster]")
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name in ("000.mp4", "001.mp4", "002.mp4", "broken.mp4"):
        shutil.copy(folder / name, inputs)
    here, there, port, dashboard = tmp_path / "here", tmp_path / "there", free_port(), free_port()
    finish(archive(inputs, here))
    ray = str(Path(sys.executable).with_name("ray"))
    paths = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    where = os.pathsep.join((str(Path(ray).parent), os.environ["PATH"]))
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PATH": where, "PYTHONPATH": paths}
    head = ["--head", "--port", str(port), "--dashboard-port", str(dashboard)]
    nodes = []
    try:
        for more in (head, *[["--address", f"127.0.0.1:{port}"]] * 2):  # three machines
            command = [ray, "start", *more, "--num-cpus", "1", "--block"]  # so that it ends with its process
            with (tmp_path / f"node-{len(nodes)}.log").open("wb") as log:
                nodes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            wait_until_started(tmp_path / f"node-{len(nodes) - 1}.log")
        job = ["python", "-m", "lab", "archive", str(inputs), "--out", str(there), *SETTINGS, "--ray", "auto"]
        submit = [ray, "job", "submit", "--address", f"http://127.0.0.1:{dashboard}", "--", *job]
        done = subprocess.run(submit, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for node in reversed(nodes):
            node.terminate()
        for node in nodes:
            node.wait(60)
    assert "3 of 4 recordings archived, 1 failed" in done.stdout
    assert files_of(here) == files_of(there)


def wait_until_started(log: Path) -> None:
    until_s = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text(errors="replace"):
        assert time.monotonic() < until_s, log.read_text(errors="replace")
        time.sleep(0.2)


def test_an_address_without_a_cluster_is_one_line(folder, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install manet-live[cluster]")
    command = [sys.executable, "-m", "lab", "archive", str(folder), "--out", str(tmp_path / "out"), *SETTINGS]
    done = subprocess.run(
        [*command, "--ray", "127.0.0.1:9"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("manet-live: error: expected the address of a Ray cluster")
