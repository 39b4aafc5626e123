"""One server without a token for the tests that only ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("onnxruntime")

from deploy.colours import write_images
from deploy.serving.running import RunningServer, registry_of, running


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 6)
    return sorted((folder / "images" / "test").iterdir())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registry_of(tmp_path_factory.mktemp("registry"), 1)


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[RunningServer]:
    limits = ("--max-body-mb", "0.5", "--max-pixels", "1000000", "--timeout", "1.5")
    with running("--registry", models, *limits) as found:
        yield found
