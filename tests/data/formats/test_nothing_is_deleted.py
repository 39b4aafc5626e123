"""Nothing that came into an output folder meanwhile is deleted, and nothing that stood in it before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.errors import DataError
from liftgate.files import atomic_folder, delete_own_files, replacing
from liftgate.testing.data import yolo_folder


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read(yolo_folder(tmp_path / "source", {"train/a.png": "0 .5 .5 .5 .5\n", "val/b.png": "1 .5 .5 .5 .5\n"}))


def dropping(path: Path) -> Callable[..., None]:
    """A progress that writes a file of somebody else's while the work goes on."""

    def progress(*_: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")

    return progress


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "cvat"])
@pytest.mark.parametrize("existed", [False, True], ids=["new", "empty"])
def test_what_came_into_the_folder_while_it_was_written_stays(
    tmp_path: Path, dataset: Dataset, to: str, existed: bool
) -> None:
    out = tmp_path / "out"
    if existed:
        out.mkdir()
    mine = out / "notes" / "mine.txt"
    with pytest.raises(DataError, match=r"holds other files.*notes/mine\.txt(.|\n)*nothing was replaced"):
        write_dataset(dataset, to, out, progress=dropping(mine))
    assert [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()] == ["notes/mine.txt"]
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"], "no part is left behind"


@pytest.mark.parametrize(
    "mine", ["notes.txt", "images/own.png", "labels/own.txt", "README.md", "images/deep/own.jpg", "weights.pt"]
)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_tree_of_ours_is_replaced_only_where_nothing_else_is_in_it(
    tmp_path: Path, dataset: Dataset, mine: str, when: str
) -> None:
    out = tmp_path / "tree"
    yolo.write(dataset, out)
    put = dropping(out / mine)
    if when == "before":
        put()
    with pytest.raises(DataError, match="holds other files"):
        yolo.write(dataset, out, progress=put)
    assert (out / mine).read_text() == "mine"
    assert (out / "data.yaml").is_file()


def test_a_tree_of_ours_with_the_trainers_caches_is_replaced(tmp_path: Path, dataset: Dataset) -> None:
    out = tmp_path / "tree"
    yolo.write(dataset, out)
    (out / "labels.cache").write_bytes(b"cache")
    (out / "images" / "a.npy").write_bytes(b"cache")
    yolo.write(dataset, out)
    assert not (out / "labels.cache").exists()
    assert len(read(out / "data.yaml").images) == 2


def test_a_file_in_the_folders_place_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds other files"), atomic_folder(tmp_path / "out") as part:
        (part / "a").write_text("a")
        (tmp_path / "out").write_text("mine")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with atomic_folder(tmp_path / "out") as part:
        (part / "a").write_text("a")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "real" / "a").read_text() == "a"


def test_a_new_file_replaces_none_that_came_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another file of this name"), replacing(tmp_path / "a", only_new=True) as file:
        file.write("ours")
        (tmp_path / "a").write_text("mine")
    assert (tmp_path / "a").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "b", only_new=True) as file:
        file.write("ours")
    assert (tmp_path / "b").read_text() == "ours" and len(list(tmp_path.iterdir())) == 2


def test_what_failed_is_cleared_without_what_others_put_there(tmp_path: Path) -> None:
    for name in ("ours/a", "ours/b/c", "ours/b/mine", "theirs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    delete_own_files(tmp_path, ["ours/a", "ours/b/c", "gone"])
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == ["ours/b/mine", "theirs"]


VERBS: dict[str, list[str]] = {
    "convert": ["data", "convert", "a/data.yaml", "--to", "coco", "--out", "out"],
    "merge": ["data", "merge", "a/data.yaml", "b/data.yaml", "--out", "out"],
    "mix": ["data", "mix", "a/data.yaml", "b/data.yaml", "--out", "out"],
    "split": ["data", "split", "a/data.yaml", "--ratios", "0.5", "0.5", "0", "--out", "out"],
    "frames": ["data", "frames", "a/images/train", "--out", "out"],
    "sample": ["data", "sample", "a/images", "--budget", "2", "--out", "s.csv", "--copy", "out"],
    "fix": ["check", "a/data.yaml", "--fix", "out"],
    "prelabel": ["data", "prelabel", "a/data.yaml", "--images", "a/images/val", "--predictions", "p.json",
                 "--out", "out"],
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_deletes_or_replaces_what_came_into_its_folder(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of every name that the verb itself writes come while it works: before its first rename."""
    monkeypatch.chdir(tmp_path)
    train = {f"train/{n}.png": "0 .5 .5 .5 .5\n" for n in range(4)}
    yolo_folder(tmp_path / "a", train | {"val/v.png": "2 .5 .5 9 .5\n"})
    yolo_folder(tmp_path / "b", train, size=(80, 60))
    (tmp_path / "p.json").write_text("[]")
    assert main(VERBS[verb]) in (0, 3)
    written = sorted(path.relative_to("out") for path in Path("out").rglob("*") if not path.is_dir())
    assert written
    shutil.rmtree("out")
    Path("s.csv").unlink(missing_ok=True)
    mine = {Path("out") / name for name in (*written, "deep/notes.txt")}
    begun: list[object] = []

    def drop(real: Callable[..., object]) -> Callable[..., object]:
        def call(source: Any, target: Any, *rest: Any, **more: Any) -> object:
            if "out" in Path(os.fspath(target)).parts and not begun:
                begun.append(target)
                for path in mine:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("mine")
            return real(source, target, *rest, **more)

        return call

    for name in ("rename", "replace", "link"):
        monkeypatch.setattr(os, name, drop(getattr(os, name)))
    assert main(VERBS[verb]) == 2
    assert {path: path.read_text() for path in mine} == dict.fromkeys(mine, "mine")


def test_a_folder_that_is_made_anew_while_it_is_looked_at_costs_nobody_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "out", os.rename

    def renamed(source: Any, target: Any) -> None:
        rename(source, target)
        if os.fspath(target).endswith(".old.part"):
            out.mkdir()
            (out / "newer").write_text("mine")

    with pytest.raises(DataError, match="holds other files"), atomic_folder(out) as part:
        (part / "a").write_text("ours")
        out.mkdir()
        (out / "older").write_text("mine")
        monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(DataError), atomic_folder(out) as part:
        (part / "a").write_text("ours")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["newer", "older"]
