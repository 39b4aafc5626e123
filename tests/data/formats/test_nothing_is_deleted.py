"""Nothing that came into an output folder meanwhile is deleted, and nothing that stood in it before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.errors import DataError
from liftgate.files import atomic_folder
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
