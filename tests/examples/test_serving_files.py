"""The files to run a server with: each is sound in its own language, and names what exists."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from liftgate.cli import serve

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "serving"


def options() -> set[str]:
    parser = argparse.ArgumentParser()
    serve.configure(parser)
    return {name for action in parser._actions for name in action.option_strings}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.name)
def test_yaml_files_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_what_compose_mounts_and_names_exists() -> None:
    document = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    for service in document["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (FOLDER / source).is_file(), source
            else:
                assert source in document["volumes"] or source.startswith("${LIFTGATE_REGISTRY")
        assert set(service.get("secrets", ())) <= set(document["secrets"])
    build = document["services"]["serve"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
    targets = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"][0]["static_configs"][0]
    assert {one.partition(":")[0] for one in targets["targets"]} <= set(document["services"])
    if shutil.which("docker") is not None:
        done = subprocess.run(
            ["docker", "compose", "-f", FOLDER / "compose.yaml", "config", "--quiet"], capture_output=True, text=True
        )
        assert done.returncode == 0 or "unknown" in done.stderr or "not a docker command" in done.stderr, done.stderr


def test_the_dockerfile_copies_what_exists_and_uses_options_that_exist() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+)", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    entry = json.loads(re.findall(r"^ENTRYPOINT (.+)", text, re.MULTILINE)[0])
    assert {word for word in entry if word.startswith("--")} <= options()
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    locked = (ROOT / "requirements" / "serve.txt").read_text()
    for package in ("onnxruntime", "prometheus-client", "python-multipart", "starlette", "uvicorn"):
        assert re.search(rf"^{package}==", locked, re.MULTILINE)
    assert "torch" not in locked and "ultralytics" not in locked


def test_the_unit_is_sound() -> None:
    text = (FOLDER / "liftgate-serve.service").read_text()
    command = re.findall(r"^ExecStart=(.+)", text, re.MULTILINE)[0].split()
    assert {word for word in command if word.startswith("--")} <= options()
    if shutil.which("systemd-analyze") is None:
        return
    done = subprocess.run(
        ["systemd-analyze", "verify", FOLDER / "liftgate-serve.service"], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "liftgate-serve" in line]
    assert [line for line in complaints if "is not executable" not in line] == []


def test_the_dashboard_asks_for_metrics_that_the_server_has() -> None:
    pytest.importorskip("prometheus_client")
    from liftgate.deploy.serving.metrics import ServerMetrics

    known = {one.name for family in ServerMetrics().registry.collect() for one in family.samples}
    known |= {family.name for family in ServerMetrics().registry.collect()}
    board = json.loads((FOLDER / "grafana" / "dashboard.json").read_text())
    asked = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"liftgate_\w+", target["expr"]))
    assert asked
    for name in asked:
        assert re.sub(r"_(total|bucket|count|sum)$", "", name) in known, name
