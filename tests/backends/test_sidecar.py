"""The side-car: a generation is whole or absent, and two are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.backends import sidecar

FILES = ("results.csv", "weights/best.pt")


def _commit(out: Path, epoch: int) -> None:
    (out / "weights").mkdir(parents=True, exist_ok=True)
    with (out / "results.csv").open("a") as file:
        file.write(f"{epoch}\n")
    part = out / "weights" / "part"
    part.write_text(f"weights of {epoch}")
    part.replace(out / "weights" / "best.pt")
    sidecar.commit(out, epoch, lambda path: path.write_text(f"state of {epoch}") and None, FILES)


def test_the_two_newest_generations_are_kept_newest_first(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        _commit(tmp_path, epoch)
    assert [generation.epoch for generation in sidecar.generations(tmp_path)] == [3, 2]


def test_restoring_brings_back_the_files_of_that_moment(tmp_path: Path) -> None:
    for epoch in (1, 2):
        _commit(tmp_path, epoch)
    older = list(sidecar.generations(tmp_path))[1]
    sidecar.restore_files(older, tmp_path, FILES)
    assert (tmp_path / "results.csv").read_text() == "1\n"
    assert (tmp_path / "weights" / "best.pt").read_text() == "weights of 1"


def test_appending_after_a_restore_leaves_the_generation_alone(tmp_path: Path) -> None:
    _commit(tmp_path, 1)
    generation = next(sidecar.generations(tmp_path))
    sidecar.restore_files(generation, tmp_path, FILES)
    for name in FILES:
        with (tmp_path / name).open("a") as file:
            file.write("later")
    assert (generation.folder / "results.csv").read_text() == "1\n"
    assert (generation.folder / "weights" / "best.pt").read_text() == "weights of 1"


def test_a_failed_save_leaves_the_generation_before_and_no_rest(tmp_path: Path) -> None:
    _commit(tmp_path, 1)

    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        sidecar.commit(tmp_path, 2, full, FILES)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["epoch-00001"]


def test_half_a_generation_of_a_killed_process_is_not_seen(tmp_path: Path) -> None:
    _commit(tmp_path, 1)
    (tmp_path / "state" / ".part-00002").mkdir()
    assert [generation.epoch for generation in sidecar.generations(tmp_path)] == [1]
    _commit(tmp_path, 2)
    assert [generation.epoch for generation in sidecar.generations(tmp_path)] == [2, 1]


def test_a_generation_that_a_kill_left_half_deleted_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 2):
        _commit(tmp_path, epoch)

    def killed(folder: Path, ignore_errors: bool = False) -> None:
        (folder / "results.csv").unlink(missing_ok=True)
        (folder / "sha256.json").unlink(missing_ok=True)
        if folder.is_dir() and "part" not in folder.name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", killed)
        _commit(tmp_path, 3)
    assert [generation.epoch for generation in sidecar.generations(tmp_path)] == [3, 2]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", killed)
        sidecar.keep_newest(tmp_path)
    assert [generation.epoch for generation in sidecar.generations(tmp_path)] == [3]
    for epoch in (4, 5):
        _commit(tmp_path, epoch)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["epoch-00004", "epoch-00005"]


def test_no_state_is_no_generation(tmp_path: Path) -> None:
    assert list(sidecar.generations(tmp_path)) == []
    sidecar.discard(tmp_path)
