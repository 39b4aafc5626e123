"""Whatever terminal there is, a command speaks and does not fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def liftgate(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "liftgate", *map(str, words)]
    return subprocess.run(command, capture_output=True, env=os.environ | PLAIN | environment)


@pytest.mark.parametrize("verb", ["frames", "merge", "stats", "agree"])
def test_help_is_shown_where_only_ascii_is_known(verb: str) -> None:
    done = liftgate("data", verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stdout.startswith(b"usage: liftgate data")


def test_signs_are_spelled_and_names_are_escaped(tmp_path: Path) -> None:
    done = liftgate("data", "stats", tmp_path / "kühe…")
    assert done.returncode == 2
    assert done.stderr.isascii() and b"Traceback" not in done.stderr and b"fault in liftgate" not in done.stderr


def test_json_stays_json_where_only_ascii_is_known(tmp_path: Path) -> None:
    _bare_set(tmp_path, "büro 🙂")
    done = liftgate("data", "stats", tmp_path / "data.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "büro 🙂" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"k\xfche")
    try:
        (tmp_path / name).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    done = liftgate("data", "stats", tmp_path / name, LC_ALL="C.UTF-8", PYTHONUTF8="1")
    assert done.returncode == 2
    assert rb"k\udcfche" in done.stderr and b"fault in liftgate" not in done.stderr


def test_only_the_sub_verb_that_was_asked_for_is_imported() -> None:
    code = (
        "import sys; from liftgate.cli import main; main(['data', 'frames', '--help']); "
        "sys.exit(','.join(sorted(name for name in sys.modules if name.startswith('liftgate.cli.data_'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "liftgate.cli.data_frames,liftgate.cli.data_source", "the verb and what verbs share"


def _bare_set(folder: Path, name: str) -> None:
    from PIL import Image

    for part in ("images/train", "labels/train"):
        (folder / part).mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(folder / "images/train/a.png")
    (folder / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text(f"train: images/train\nnames: ['{name}']\n", encoding="utf-8")
