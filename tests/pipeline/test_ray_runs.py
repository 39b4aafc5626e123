"""A study on a real Ray cluster of two nodes on loopback: the same verdict and ledger, also when a node is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import test_split_predictions as split
from pipeline.test_engine_runs import ARMS, bodies, run_in

Write = Callable[..., Path]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the `ray` extra"),
    pytest.mark.skipif("LIFTGATE_RAY_STARTS" not in os.environ, reason="a job of its own: a cluster takes minutes"),
]

_STARTS = int(os.environ.get("LIFTGATE_RAY_STARTS", "2"))
"""Tries to start two nodes: Ray gives one 30 s to come up, and on a busy machine most do not"""
_CLUSTER = """
import json, os, sys, time
import ray
from ray._private.node import Node
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.1",
    "include_dashboard": False})
second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", include_dashboard=False)
pids = [one.process.pid for kind in second.all_processes.values() for one in kind]
print(json.dumps({"address": cluster.address, "second": pids}), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Two nodes: the cluster's address, and the processes of the second node."""
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    for _ in range(_STARTS):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _CLUSTER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        if line.startswith("{"):
            break
        _end(process)
    else:
        pytest.skip(f"Ray did not start two nodes in {_STARTS} tries: is the machine busy?")
    yield json.loads(line)
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.filterwarnings("ignore")
def test_two_nodes_give_the_verdict_and_ledger_of_none_with_one_killed_in_the_middle(
    write_study: Write, tmp_path: Path, cluster: dict[str, Any]
) -> None:
    expected = run_in(tmp_path / "none", write_study)
    path = write_study(arms=ARMS, seeds=[0, 1], engine={"use": "ray", "address": cluster["address"]})
    killed: list[int] = []

    def kill_the_second_node() -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end and not list(path.parent.glob("runs/colours/*/started")):
            time.sleep(0.05)
        for pid in cluster["second"]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    watcher = threading.Thread(target=kill_the_second_node, daemon=True)
    watcher.start()
    # Ray stays out of this process: it changes signal handlers and leaves threads.
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "liftgate", "run", str(path), "--json"], capture_output=True, text=True
    )
    watcher.join(10)
    assert killed, "a node was killed while tasks ran"
    assert ran.returncode in (0, 10, 11), ran.stderr
    assert bodies(path) == expected[1]


_LISTED = """
import sys
from liftgate.cli import main
from liftgate.engines.ray_cluster import RayEngine
submit = RayEngine.submit
def listed(self, submissions):
    print(*(f"submitted {one.name}" for one in submissions), sep="\\n", flush=True)
    return submit(self, submissions)
RayEngine.submit = listed
sys.exit(main(["run", sys.argv[1]]))
"""


@pytest.mark.filterwarnings("ignore")
def test_predictions_in_parts_on_two_nodes_have_the_bytes_and_the_ledger_of_whole_ones(
    write_study: Write, tmp_path: Path, cluster: dict[str, Any]
) -> None:
    _, ledger, files = split.run_in(tmp_path / "none", write_study, None)
    engine = {"use": "ray", "address": cluster["address"], "images_per_task": 5, "detections_per_task": 8}
    path = write_study(**split.ONE_ARM, engine=engine)
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", _LISTED, str(path)], capture_output=True, text=True)
    assert ran.returncode in (0, 10, 11), ran.stderr
    for number in (1, 2, 3):
        assert f"submitted {split.PART} {number} of 3" in ran.stdout
    assert "boxes, part 2 of " in ran.stdout, "the evaluation is split too"
    assert bodies(path) == ledger
    made = (one for kind in ("predictions", "evaluations") for one in path.parent.glob(f"runs/*/{kind}/*.json"))
    assert {one.name: one.read_bytes() for one in made} == files


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_started_here_listens_on_loopback_only(write_study: Write) -> None:
    path = write_study(engine={"use": "ray", "workers": 1}, flow=["train"])
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "liftgate", "run", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wide: set[str] = set()
    while process.poll() is None:
        wide |= _listeners_off_loopback(_session(process.pid))
        time.sleep(0.3)
    assert process.stdout is not None
    said = process.stdout.read()
    if "the Ray cluster cannot be used" in said:
        pytest.skip("Ray did not start: is the machine busy?")
    assert process.returncode == 0, said
    assert not wide


def _session(leader: int) -> set[int]:
    """Return the processes that descend from a process."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {leader}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _listeners_off_loopback(pids: set[int]) -> set[str]:
    """Return what these processes listen on besides 127.0.0.0/8 and ::1."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    wide = set()
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = row.split()
            address = words[1].split(":")[0]
            mapped = address.startswith("0000000000000000FFFF0000") and address.endswith("7F")
            if words[3] == "0A" and words[9] in inodes and address != loopback and not mapped:
                wide.add(f"{table} {words[1]}")
    return wide
