"""The folder in which the documentation's commands are run, made once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("onnx", "onnxruntime", "av", "starlette"):
        pytest.importorskip(name)
    from documented.world import build

    folder = tmp_path_factory.mktemp("documented") / "world"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build(folder)
    return folder
