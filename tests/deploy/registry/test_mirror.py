"""The mirror in MLflow's registry: the same versions and champion, whatever happened there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import liftgate
from liftgate.cli import main
from liftgate.deploy.registry import mirror as module
from liftgate.deploy.registry.store import Registry
from liftgate.errors import DataError, LiftgateError, Refused, UsageError


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def client(address: str) -> Any:
    tracking = pytest.importorskip("mlflow.tracking")
    return tracking.MlflowClient(tracking_uri=address, registry_uri=address)


def champion(address: str, name: str) -> str:
    return str(client(address).get_model_version_by_alias(name, "champion").tags["liftgate.version"])


@pytest.mark.filterwarnings("ignore")
def test_versions_and_champion_are_the_same_there(registered: Callable[[int], Path], address: str) -> None:
    pytest.importorskip("mlflow")
    registry = registered(2)
    first = liftgate.mirror_models(address, registry=registry)
    assert (first.added, first.champion) == (("v0", "v0.1"), None)
    liftgate.promote("v0.1", registry=registry)
    second = liftgate.mirror_models(address, registry=registry)
    assert (second.added, second.champion) == ((), "v0.1")
    assert champion(address, second.name) == "v0.1"
    held = client(address).get_model_version(second.name, dict(second.versions)["v0.1"])
    shown = liftgate.show_model("v0.1", registry=registry)
    assert held.tags["liftgate.weights_sha256"] == shown.weights_hash
    assert held.tags["liftgate.verdict"] == "PASS" and held.description.startswith("PASS")
    liftgate.promote("v0", registry=registry)
    liftgate.mirror_models(address, registry=registry)
    assert champion(address, second.name) == "v0"
    liftgate.rollback(registry=registry)
    client(address).set_registered_model_alias(second.name, "champion", dict(second.versions)["v0"])
    liftgate.mirror_models(address, registry=registry)
    assert champion(address, second.name) == "v0.1", "an alias that was moved by hand is put back"
    assert liftgate.verify_models(registry=registry).ok


@pytest.mark.filterwarnings("ignore")
def test_another_registry_of_the_same_name_is_not_mixed_in(
    registered: Callable[[int], Path], address: str, tmp_path: Path
) -> None:
    pytest.importorskip("mlflow")
    name = liftgate.mirror_models(address, registry=registered(1)).name
    other = tmp_path / "weights.json"
    other.write_text("{}")
    liftgate.add_model(other, registry=tmp_path / "others")
    with pytest.raises(DataError, match="other weights as v0"):
        liftgate.mirror_models(address, registry=tmp_path / "others", name=name)


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_says_what_is_there(
    registered: Callable[[int], Path], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    registry = registered(1)
    assert main(["models", "mirror", "--to", address, "--registry", str(registry), "--name", "cones", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["name"], printed["added"], printed["champion"]) == ("cones", ["v0"], None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on this machine."""
    pytest.importorskip("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination", str(tmp_path)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=tmp_path, stdout=quiet, stderr=quiet, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers with it
        process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_gets_the_same(registered: Callable[[int], Path], server: str) -> None:
    registry = registered(1)
    liftgate.promote("v0", registry=registry)
    found = liftgate.mirror_models(server, registry=registry)
    assert (found.added, found.champion, champion(server, found.name)) == (("v0",), "v0", "v0")


def test_confidential_versions_do_not_leave_the_machine(
    registered: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(registered(1))
    (version,) = registry.versions()
    secret = replace(version, entry=replace(version.entry, confidential=True))
    monkeypatch.setattr(Registry, "versions", lambda self: (secret,))
    with pytest.raises(Refused, match="v0 was trained on confidential data"):
        module.mirror(registry, "https://mlflow.example.org")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("to", ["sqlite:////nowhere/at/all/mlflow.db", "http://127.0.0.1:1", "ftp://there"])
def test_an_address_that_does_not_work_is_one_error(registered: Callable[[int], Path], to: str) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(LiftgateError):
        liftgate.mirror_models(to, registry=registered(1))


def test_without_the_package_or_an_address_it_says_what_is_missing(
    registered: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered(1)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="where is MLflow"):
        liftgate.mirror_models(registry=registry)
    with pytest.raises(UsageError, match="no registry of models"):
        liftgate.mirror_models("sqlite:///x.db", registry=tmp_path / "none")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(UsageError, match=r"\.\[mlflow\]"):
        liftgate.mirror_models(f"sqlite:///{tmp_path}/x.db", registry=registry)
