"""Zips from strangers: what leads out of the folder, links, bombs and damage are refused before anything is written."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.core import archive
from liftgate.data.core.archive import pack, unpack
from liftgate.errors import DataError


@pytest.mark.parametrize(
    "name", ["../x.txt", "a/../../x.txt", "/etc/x.txt", "C:/x.txt", "a\\..\\..\\x.txt", "a//b.txt", "./x.txt"]
)
def test_a_name_that_is_not_plainly_below_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr("good.txt", "good")
        made.writestr(name, "bad")
    with pytest.raises(DataError, match="leads out"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("images")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr(link, "/etc")
        made.writestr("images/passwd", "x")
    with pytest.raises(DataError, match="a link"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNCHECKED_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros.txt", bytes(8 << 20))
    with pytest.raises(DataError, match="a bomb"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_that_lies_about_its_size_is_cut_off_and_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros.txt", bytes(1 << 20))
    data = (tmp_path / "x.zip").read_bytes()
    real, false = (1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(real) == 2
    (tmp_path / "x.zip").write_bytes(data.replace(real, false))
    with pytest.raises(DataError, match="cannot be read"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr("a.txt", "1")
        made.writestr("a.txt", "2")
    with pytest.raises(DataError, match="one name twice"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


@given(st.binary(max_size=300))
def test_bytes_that_are_no_zip_are_one_error(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "x.zip"
        path.write_bytes(data)
        with pytest.raises(DataError):
            unpack(path, Path(place) / "out")


def test_what_was_packed_unpacks_and_has_the_same_bytes_twice(tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(bytes(range(256)))
    files: list[tuple[str, Path | bytes]] = [("a/image.jpg", tmp_path / "image.jpg"), ("b.txt", b"text")]
    one, two = pack(tmp_path / "one.zip", files), pack(tmp_path / "two.zip", files)
    assert one.read_bytes() == two.read_bytes()
    unpack(one, tmp_path / "all")
    assert (tmp_path / "all/a/image.jpg").read_bytes() == bytes(range(256))
    unpack(one, tmp_path / "some", suffixes={".txt"})
    assert [path.name for path in (tmp_path / "some").rglob("*")] == ["b.txt"]
