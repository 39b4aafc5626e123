"""Every verb that takes a model refuses a hostile checkpoint before anything of it is loaded, and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from checks.ultralytics.hostile_checkpoints import checkpoints
from liftgate.cli import main
from liftgate.testing.data import picture

VERBS = {
    "predict": ["predict", "w.pt", "images", "--out", "found.json"],
    "export": ["export", "w.pt", "--out", "exported"],
    "export int8": ["export", "w.pt", "--out", "exported", "--precisions", "int8", "--data", "images"],
    "bench": ["bench", "w.pt", "--batch", "1", "--blocks", "1", "--seconds", "0.1"],
    "bench beside": ["bench", "sound.onnx", "w.pt", "--batch", "1", "--blocks", "1", "--seconds", "0.1"],
    "models add": ["models", "add", "w.pt", "--registry", "models"],
}


class Hostile(NamedTuple):
    """A checkpoint of every kind, and the file that they would write"""

    mark: Path
    kinds: dict[str, bytes]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    mark = tmp_path_factory.mktemp("mark") / "mark"
    kinds: dict[str, bytes] = {}
    for name, data in checkpoints(mark):
        kinds.setdefault(name.split(":")[0], data)
    assert len(kinds) >= 12
    return Hostile(mark, kinds)


@pytest.mark.parametrize("verb", VERBS)
def test_a_hostile_checkpoint_is_refused(
    verb: str, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "sound.onnx").write_bytes(b"")
    (tmp_path / "w.pt").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    for kind, data in hostile.kinds.items():
        (tmp_path / "w.pt").write_bytes(data)
        code = main(VERBS[verb])
        says = capsys.readouterr().err
        assert code in (1, 2, 3), f"{kind}: {says}"
        assert not hostile.mark.exists(), kind
        assert "Traceback" not in says and says.startswith("error: "), f"{kind}: {says}"
        assert sorted(tmp_path.iterdir()) == before, kind
