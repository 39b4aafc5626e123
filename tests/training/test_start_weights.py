"""Start weights are found as files, and nothing is asked of any server."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from liftgate.errors import UsageError
from liftgate.study.weights import weights_cache
from liftgate.training.start_weights import resolve_weights


def test_the_studys_folder_comes_before_the_cache(tmp_path: Path) -> None:
    weights_cache().mkdir(parents=True)
    (weights_cache() / "yolov8n.pt").write_bytes(b"cache")
    assert resolve_weights("yolov8n.pt", tmp_path).path == str((weights_cache() / "yolov8n.pt").resolve())
    (tmp_path / "yolov8n.pt").write_bytes(b"study")
    assert resolve_weights("yolov8n.pt", tmp_path).path == str((tmp_path / "yolov8n.pt").resolve())


def test_a_path_to_a_file_that_is_gone_is_not_answered_with_another_of_its_name(tmp_path: Path) -> None:
    weights_cache().mkdir(parents=True)
    (weights_cache() / "best.pt").write_bytes(b"another run's")
    with pytest.raises(UsageError, match="no such weights"):
        resolve_weights("runs/exp7/weights/best.pt", tmp_path)


def test_identity_is_the_content_and_not_the_name(tmp_path: Path) -> None:
    for name, content in (("a.pt", b"1"), ("b.pt", b"1"), ("c.pt", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (resolve_weights(f"{name}.pt", tmp_path).identity for name in "abc")
    assert a == b != c


def test_a_yamls_scale_stands_in_its_name_and_so_in_its_identity(tmp_path: Path) -> None:
    for name in ("yolov8n.yaml", "yolov8s.yaml"):
        (tmp_path / name).write_text("nc: 1\n")
    n, s = (resolve_weights(f"yolov8{scale}.yaml", tmp_path).identity for scale in "ns")
    assert n != s


def test_missing_weights_say_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="put the file at") as caught:
        resolve_weights("yolov8n.pt", tmp_path)
    assert str(tmp_path / "yolov8n.pt") in str(caught.value)


@pytest.mark.train
@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="needs the `train` extra")
def test_an_architecture_that_ships_with_ultralytics_is_known_at_every_scale(tmp_path: Path) -> None:
    assert resolve_weights("yolov8n.yaml", tmp_path).path == "yolov8n.yaml"
    assert resolve_weights("yolov8n.yaml", tmp_path).identity != resolve_weights("yolov8m.yaml", tmp_path).identity
    with pytest.raises(UsageError):
        resolve_weights("yolov8q-nonsense.yaml", tmp_path)
