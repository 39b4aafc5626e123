"""A reader, or a crash, never meets half a file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from liftgate.errors import DataError
from liftgate.files import atomic_folder, own_part, replacing, write_bytes, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as file:
        file.write("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("writing", [replacing, atomic_folder])
def test_a_full_disk_is_named_by_what_was_written(tmp_path: Path, writing: Any) -> None:
    with pytest.raises(OSError) as raised, writing(tmp_path / "made"):
        Path("/dev/full").write_text("more than there is room for")  # a file that was open already names no path
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "made"))
    assert list(tmp_path.iterdir()) == []


def test_nobody_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with replacing(target) as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


def test_the_same_json_value_gives_the_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": "é"})
    write_json(tmp_path / "b", {"a": "é", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_names_that_are_no_utf8_come_back_as_they_were(tmp_path: Path) -> None:
    name = os.fsdecode(b"raw\xff.jpg")
    write_json(tmp_path / "a", {"image": name})
    assert json.loads((tmp_path / "a").read_text("utf-8")) == {"image": name}
    write_text(tmp_path / "list.txt", f"{name}\n")
    assert (tmp_path / "list.txt").read_bytes() == b"raw\xff.jpg\n"
    write_text(tmp_path / "half", "half of a pair: \ud800")
    assert (tmp_path / "half").read_text("utf-8") == "half of a pair: \\ud800"


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a", {"mAP": float("nan")})
    assert not list(tmp_path.iterdir())


def test_written_files_are_as_readable_as_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    write_bytes(tmp_path / "bytes", b"x")
    (tmp_path / "plain").write_text("x")
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "plain").stat().st_mode}


KILLED = """
import os, sys
from pathlib import Path
from liftgate.files import atomic_folder, replacing
kind, target = sys.argv[1], Path(sys.argv[2])
with (replacing(target) if kind == "file" else atomic_folder(target, own_files=lambda name: name == "a")) as made:
    made.write("half") if kind == "file" else (made / "a").write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_write_clears_what_a_killed_one_left(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "result"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, kind, str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 1 and not target.exists()
    if kind == "file":
        write_text(target, "whole")
    else:
        with atomic_folder(target) as part:
            (part / "a").write_text("whole")
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_killed_between_two_names_costs_the_finished_file_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from liftgate.files import replacing\n"
        "link = os.link\n"
        "os.link = lambda *names: (link(*names), os.kill(os.getpid(), 9))\n"
        "with replacing(Path(sys.argv[1]), only_new=True) as file: file.write('whole')\n"
    )
    target = tmp_path / "result"
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert target.read_text() == "whole" and target.stat().st_nlink == 2
    with pytest.raises(DataError, match="another file"), replacing(target, only_new=True) as file:
        file.write("new")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as slow:
        slow.write("slow")
        write_text(target, "quick")
        assert target.read_text() == "quick"
    assert target.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [target]


def test_a_part_that_was_renamed_leaves_that_of_the_next_writer_alone(tmp_path: Path) -> None:
    target = tmp_path / "weights.pt"
    with contextlib.ExitStack() as second:
        with own_part(target) as part:
            part.write_bytes(b"first")
            part.replace(target)
            again = second.enter_context(own_part(target))
        again.write_bytes(b"second")
        again.replace(target)
    with own_part(target) as unused:
        unused.write_bytes(b"half")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("weights.pt", b"second")]


def test_a_folder_that_a_killed_process_had_moved_away_comes_back(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    pid = int(ended.stdout)
    (tmp_path / f".out.{pid}.old.part").mkdir()
    (tmp_path / f".out.{pid}.old.part" / "mine").write_text("mine")
    (tmp_path / f".out.{pid}.part").mkdir()
    with pytest.raises(DataError, match="holds other files"), atomic_folder(tmp_path / "out") as part:
        (part / "a").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "out.html").mkdir()
    with pytest.raises(DataError, match=r"this is a folder .*out\.html"):
        write_text(tmp_path / "out.html", "page")
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]
