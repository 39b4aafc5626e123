"""Confidential data stay: every way out is tried on purpose and refused with its reason, and no packet leaves."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import liftgate
from liftgate import api
from liftgate.data.formats.read import read
from liftgate.data.remote.hosts import require_allowed_host
from liftgate.deploy.registry import mirror
from liftgate.deploy.registry.store import Registry
from liftgate.errors import LiftgateError

Write = Callable[..., Path]
SECRET = {"scenes": {"path": "scenes/data.yaml", "licence": "own", "confidential": True}}
OUTSIDE = "https://elsewhere.example.org"


def study(write_study: Write, **changes: Any) -> Path:
    return write_study(**{"datasets": SECRET, **changes})


def run_study(write_study: Write, **changes: Any) -> Callable[[], object]:
    return lambda: api.run(study(write_study, **changes))


def verb(*words: object) -> Callable[[], object]:
    """Return a command that raises what the terminal would show, where it is refused."""

    def call() -> object:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "liftgate", *map(str, words)], capture_output=True, text=True
        )
        if done.returncode == 2:
            raise LiftgateError(done.stderr)
        return done

    return call


def a_mirrored_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    class _Version:
        version = "v0"
        entry = type("Entry", (), {"confidential": True})()

    monkeypatch.setattr(Registry, "versions", lambda self: (_Version(),))
    return functools.partial(mirror.mirror, Registry(folder), OUTSIDE)


def ways_out(write_study: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], object]]:
    """Return every way out of this machine, each tried with confidential data."""
    data, truth = folder / "scenes" / "data.yaml", replace(read(folder / "scenes" / "data.yaml"), confidential=True)
    mapping = folder / "mapping.yaml"
    mapping.write_text("boxes: found.*.box\nscores: found.*.p\nclasses: found.*.label\n")
    export = folder / "cvat"
    stage = {"data": "scenes", "recipe": {"epochs": 1}}
    remote = {"use": "slurm", "cluster": "local"}
    arms = {"short": [{**stage, "weights": f"{OUTSIDE}/start.pt"}], "long": [{**stage, "weights": "start.yaml"}]}
    named = {"short": [{**stage, "weights": "yolov8n.pt"}], "long": [{**stage, "weights": "start.yaml"}]}
    elsewhere = {**remote, "region": "eu-far"}
    return {
        "Weights & Biases": run_study(write_study, log=["wandb"]),
        "MLflow elsewhere": run_study(write_study, log=["mlflow"]),
        "an engine whose place nobody names": run_study(write_study, engine=remote),
        "an engine outside the regions": run_study(write_study, engine=elsewhere, regions=["here"]),
        "a Ray cluster elsewhere": run_study(write_study, engine={"use": "ray", "address": "10.0.0.9:6379"}),
        "an object store": run_study(write_study, engine={"use": "local", "store": "s3://bucket/x"}),
        "weights by their address": run_study(write_study, arms=arms),
        "weights by the name of a hub": run_study(write_study, arms=named),
        "an API": verb("ask", "--truth", data, "--api-url", OUTSIDE, "--mapping", mapping, "--out", folder / "a.json",
                       "--confidential"),
        "a server of liftgate": lambda: liftgate.predict_api(OUTSIDE, truth, folder / "b.json"),
        "a production test": verb("evaluate", "--truth", data, "--api-url", OUTSIDE, "--out", folder / "c",
                                  "--confidential"),
        "a data set of a server": verb("data", "fetch", "team/cones/3", "--out", folder / "d", "--server", OUTSIDE,
                                       "--confidential"),
        "CVAT": verb("data", "prelabel", data, "--out", export, "--confidential", "--push", OUTSIDE,
                     "--predictions", folder / "none.json"),
        "a model registry": a_mirrored_version(folder / "models", monkeypatch),
        "a server in the local network": functools.partial(
            require_allowed_host, "http://192.168.1.20", confidential=True, what="scenes"
        ),
    }  # fmt: skip


def test_every_way_out_is_refused_with_its_reason(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{OUTSIDE}/mlflow")
    study(write_study)
    refused = {}
    for name, attempt in ways_out(write_study, tmp_path, monkeypatch).items():
        try:
            attempt()
        except LiftgateError as error:
            refused[name] = str(error)
        else:
            raise AssertionError(f"{name}: nothing was refused")
    for name, said in refused.items():
        reason = "no such weights" if name.startswith("weights") else "confidential"
        assert reason in said, f"{name}: {said}"


def test_a_download_in_a_data_yaml_is_never_followed(write_study: Write, tmp_path: Path) -> None:
    path = study(write_study)
    source = tmp_path / "scenes" / "data.yaml"
    marker = tmp_path / "downloaded"
    document = yaml.safe_load(source.read_text())
    source.write_text(
        yaml.safe_dump({**document, "download": f"import pathlib; pathlib.Path({str(marker)!r}).touch()"})
    )
    api.run(path, overrides={"flow": "[train, lift]"})
    assert not marker.exists()


def test_pictures_of_confidential_data_are_in_the_report_only_when_asked_for(write_study: Write) -> None:
    path = study(write_study, flow=["train", "lift", "report"])
    api.run(path)
    page = next(path.parent.rglob("report.html"))
    quiet = page.read_text()
    api.report(path, show_confidential=True)
    shown = page.read_text()
    assert "scenes is confidential: the report has no pictures of it" in quiet
    assert "data:image/jpeg" not in quiet and "data:image/webp" not in quiet and "data:image/png" not in quiet
    assert any(f"data:image/{kind}" in shown for kind in ("jpeg", "webp", "png"))


_IN_A_NAMESPACE = """
set -e
ip link set lo up
{route}
before=$(awk '/out0/ {{print $11}}' /proc/net/dev)
"$@"
echo "PACKETS $(awk '/out0/ {{print $11}}' /proc/net/dev) $before"
{control}
"""
_ROUTE = """
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true
ip link add out0 type veth peer name out1
ip addr add 10.77.0.1/24 dev out0
ip link set out0 arp off up
ip link set out1 arp off up
ip route add default via 10.77.0.2 dev out0
"""
_CONTROL = """
python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.77.0.9', 9))"
echo "CONTROL $(awk '/out0/ {print $11}' /proc/net/dev)"
"""


def in_a_namespace(command: list[str], *, route: bool) -> subprocess.CompletedProcess[str]:
    script = _IN_A_NAMESPACE.format(route=_ROUTE if route else "", control=_CONTROL if route else "")
    words = ["unshare", "-n", "bash", "-c", script, "bash", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=1200)


def _may_unshare() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    done = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return done.returncode == 0


_WORK = """
import json, pathlib, sys
from liftgate import api
import liftgate
path = pathlib.Path(sys.argv[1])
result = api.run(path)
api.report(path)
predictions = (path.parent / "runs" / "colours" / "predictions").glob("*-test-*.json")
found = next(one for one in predictions if ".settings." not in one.name)
evaluation = liftgate.evaluate(path.parent / "scenes" / "data.yaml", found, split="test")
print("DONE", json.dumps(sorted(result.verdicts)), evaluation.metrics["mAP50"] is not None)
"""


@pytest.mark.skipif(not _may_unshare(), reason="this user may not make a network namespace")
@pytest.mark.parametrize("route", [False, True], ids=["without a route", "with a route, counted"])
def test_train_predict_evaluate_and_report_send_nothing(write_study: Write, route: bool) -> None:
    path = study(write_study)
    done = in_a_namespace([sys.executable, "-W", "ignore", "-c", _WORK, str(path)], route=route)
    assert "DONE" in done.stdout, done.stderr
    if route:
        _require_no_packets(done.stdout)


def _require_no_packets(said: str) -> None:
    lines = dict(line.split(" ", 1) for line in said.splitlines() if line.startswith(("PACKETS", "CONTROL")))
    after, before = map(int, lines["PACKETS"].split())
    assert after == before, "packets left"
    assert int(lines["CONTROL"]) > after, "the counter sees a packet that is sent on purpose"


_SERVED = textwrap.dedent("""
    import json, pathlib, subprocess, sys, time, urllib.request
    from liftgate import api
    URL = "http://127.0.0.1:8311/predict"
    path = pathlib.Path(sys.argv[1])
    api.run(path)
    (model,) = path.parent.rglob("*.onnx")
    image = next((path.parent / "scenes" / "images").glob("*.png"))
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "liftgate", "serve", str(model), "--port", "8311"])
    try:
        for _ in range(600):
            try:
                request = urllib.request.Request(URL, image.read_bytes(), {"Content-Type": "image/png"}, method="POST")
                with urllib.request.urlopen(request, timeout=30) as answer:
                    json.load(answer)
                print("DONE")
                break
            except OSError:
                time.sleep(0.2)
    finally:
        server.terminate()
        server.wait()
""")


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.skipif(not _may_unshare(), reason="this user may not make a network namespace")
def test_a_real_training_its_export_and_its_server_send_nothing(write_study: Write) -> None:
    for package in ("ultralytics", "onnx", "onnxruntime", "uvicorn"):
        if not _installed(package):
            pytest.skip(f"needs {package}")
    from backends.tiny import RECIPE, write_model

    folder = study(write_study).parent
    write_model(folder / "tiny.yaml")
    arm = [{"weights": "tiny.yaml", "data": "scenes", "recipe": {**RECIPE, "epochs": 2}}]
    claims = {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.5}], "rule": "point"}
    path = study(
        write_study, backend="ultralytics", device="cpu", arms={"long": arm}, gates={"enough": claims},
        flow=["train", "enough", "export", "report"],
    )  # fmt: skip
    done = in_a_namespace([sys.executable, "-W", "ignore", "-c", _SERVED, str(path)], route=True)
    assert "DONE" in done.stdout, done.stdout + done.stderr
    _require_no_packets(done.stdout)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def test_the_walk_knows_every_module_that_can_reach_a_host() -> None:
    """A new module that opens a connection has to be added to the walk above, and then to this list."""
    source = Path(liftgate.__file__).parent
    words = ("urllib.request", "http.client", "import fsspec", "cvat_sdk", "import ray\n")
    words += ('import_module("mlflow', 'import_module("wandb')
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert found == KNOWN


KNOWN = {
    "data/prelabels/server.py",
    "data/remote/roboflow.py",
    "deploy/registry/mirror.py",
    "deploy/remote_predictions/channel.py",
    "deploy/remote_predictions/request_queue.py",
    "deploy/serving/client.py",
    "engines/ray_cluster.py",
    "engines/store.py",
    "training/tracking/mlflow.py",
    "training/tracking/wandb.py",
}
"""Modules that can reach a host"""
