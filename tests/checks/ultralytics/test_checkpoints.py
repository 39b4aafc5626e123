"""A checkpoint is read without being executed."""

from __future__ import annotations

import collections
import contextlib
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.checks.ultralytics.checkpoints import Checkpoint, read_checkpoint
from liftgate.errors import DataError

RAN: list[str] = []


def ran(word: str) -> None:
    RAN.append(word)


class Trap:
    """Unpickling it calls `ran`."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return ran, ("executed",)


def saved(tmp_path: Path, content: object, protocol: int) -> Path:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reading_runs_nothing(tmp_path: Path, protocol: int) -> None:
    found = read_checkpoint(saved(tmp_path, {"model": Trap()}, protocol))
    assert RAN == []
    assert any(name.endswith("test_checkpoints.ran") for name in found.globals)
    assert found.unknown


@pytest.mark.parametrize(
    ("model", "task"),
    [("DetectionModel", "detect"), ("PoseModel", "pose"), ("SegmentationModel", "segment"), ("OtherModel", None)],
)
def test_the_class_of_its_model_tells_the_task(tmp_path: Path, model: str, task: str | None) -> None:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", f"\x80\x02cultralytics.nn.tasks\n{model}\n.".encode("latin-1"))
    assert read_checkpoint(path).task == task


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("call", ["os.system", "builtins.eval", "subprocess.Popen", "builtins.getattr"])
def test_names_that_run_commands_are_hostile(tmp_path: Path, call: str, protocol: int) -> None:
    module, _, name = call.partition(".")
    if protocol == 2:
        program = f"\x80\x02c{module}\n{name}\nX\x04\x00\x00\x00true\x85R.".encode("latin-1")
    else:
        short = lambda text: b"\x8c" + bytes([len(text)]) + text.encode()  # noqa: E731
        program = b"\x80\x04" + short(module) + short(name) + b"\x93" + short("true") + b"\x85R."
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", program)
    assert read_checkpoint(path).hostile == (call,)


def test_a_name_made_while_running_counts_as_hostile(tmp_path: Path) -> None:
    program = b"\x80\x04" + b"\x8c\x02os" + b"N" + b"\x93" + b")R."  # the attribute is no constant text
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", program)
    assert read_checkpoint(path).hostile == ("?",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_class_names_are_read(tmp_path: Path, protocol: int) -> None:
    content = {
        "model": collections.OrderedDict(names={0: "cup", 1: "plate"}),
        "version": "8.4.1",
        "license": "AGPL-3.0",
    }
    found = read_checkpoint(saved(tmp_path, content, protocol))
    assert found.names == {0: "cup", 1: "plate"}
    assert found.about == {"version": "8.4.1", "license": "AGPL-3.0"}
    assert not found.hostile and not found.unknown


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"<!DOCTYPE html><html>Sign in", "web page"),
        (b"hello", "text file"),
        (b"\x00\x01\x02\x03\xff", "bytes"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(DataError, match="no checkpoint") as caught:
        read_checkpoint(tmp_path / "w.pt")
    assert word in str(caught.value)


@given(st.integers(1, 3000))
def test_every_truncation_is_an_error(tmp_path_factory: pytest.TempPathFactory, lost: int) -> None:
    path = saved(tmp_path_factory.mktemp("cut"), {"names": {i: f"class {i}" for i in range(200)}}, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(1, len(whole) - lost)])
    with pytest.raises(DataError):
        read_checkpoint(path)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_error_or_a_checkpoint(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "w.pt"
    path.write_bytes(b"\x80\x04" + noise)
    with contextlib.suppress(DataError):
        assert isinstance(read_checkpoint(path), Checkpoint)


def test_real_weights_are_expected_and_know_their_classes(fixtures: Path) -> None:
    for path in sorted((fixtures / "weights").glob("*.pt")):
        found = read_checkpoint(path)
        assert not found.hostile and not found.unknown, path.name
        assert found.names is not None and found.names[0] == "person"
