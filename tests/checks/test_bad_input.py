"""Hostile files: findings or one clear error, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from checks.small_set import SmallSet
from liftgate.checks import Subject, run
from liftgate.checks.scan import look
from liftgate.data.reading import read
from liftgate.errors import DataError

NUMBERS = st.one_of(
    st.sampled_from(["0", "1", "-1", "nan", "inf", "1e400", "0.5", "99999999999999999999", "0x1", "", "é", "½", "1_0"]),
    st.floats(allow_nan=True).map(str),
)
ROWS = st.lists(st.lists(NUMBERS, max_size=8).map(" ".join), max_size=6).map("\n".join)
RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=5000, max_examples=25)


@RELAXED
@given(ROWS, st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_any_label_file_is_survived(small: SmallSet, rows: str, names: list[str]) -> None:
    small.label().write_text(rows, encoding="utf-8")
    small.keys(names=names, nc=None)
    try:
        subject = small.subject()
    except DataError:
        return
    result = run(subject, select=["labels", "classes", "data", "splits", "objects", "pose"])
    assert all(finding.message for finding in result.findings)


@RELAXED
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\x00"]),
)
def test_any_bytes_for_a_picture_are_survived(small: SmallSet, noise: bytes, magic: bytes) -> None:
    small.image().write_bytes(magic + noise)
    facts = look(small.image())
    assert facts.error is None or len(facts.error) > 3


@RELAXED
@given(st.integers(1, 400), st.sampled_from(["PNG", "JPEG", "BMP", "WEBP", "TIFF"]))
def test_a_picture_cut_off_is_readable_or_says_why(small: SmallSet, lost: int, kind: str) -> None:
    path = small.root / f"cut.{kind.lower()}"
    Image.open(small.image()).save(path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(1, len(whole) - lost)])
    facts = look(path)
    assert facts.error is None or facts.thumb == b""


def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    assert "too large" in (look(bomb).error or "") or "bomb" in (look(bomb).error or "").lower()


def test_names_with_cyrillic_spaces_brackets_and_newlines_are_survived(small: SmallSet) -> None:
    for number, name in enumerate(["голова 1", "a [b]", "new\nline", os.fsdecode(b"raw\xff")]):
        image, label = small.image(number=10 + number), small.label(number=10 + number)
        image.rename(image.with_name(f"{name}.png"))
        label.rename(label.with_name(f"{name}.txt"))
    result = run(small.subject())
    assert [f.id for f in result.findings if f.severity == "error"] == []


@pytest.mark.parametrize("target", ["images/train/loop", "labels/train/loop"])
def test_symlink_loops_end(small: SmallSet, target: str) -> None:
    (small.root / target).symlink_to(small.root / "images")
    assert run(Subject({"small": read(small.yaml)})).n_images >= 70


@pytest.mark.parametrize("entry", ["/dev/zero", "pipe"])
def test_a_device_or_pipe_for_a_list_of_images_is_a_finding(small: SmallSet, entry: str) -> None:
    """Found by the malformed files: /dev/zero as `train:` was read until the memory ran out."""
    os.mkfifo(small.root / "pipe")
    small.keys(val=entry)
    assert "data.path" in {finding.id for finding in run(small.subject(), select=["data"]).findings}


def survived(examples: int) -> dict[str, tuple[int, float, list[str]]]:
    """Read so many malformed files of each format in a child that has 512 MB."""
    src = Path(__file__).resolve().parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(src), "OPENBLAS_NUM_THREADS": "1"}
    script = [sys.executable, str(Path(__file__).with_name("malformed.py")), str(examples)]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, tuple[int, float, list[str]]] = json.loads(done.stdout)
    return told


@pytest.mark.slow
def test_ten_thousand_malformed_files_are_survived_in_five_seconds_and_512_mb_each() -> None:
    told = survived(2500)
    assert sum(count for count, _, _ in told.values()) >= 10_000
    assert [fallen for _, _, fallen in told.values() if fallen] == []
    assert max(seconds for _, seconds, _ in told.values()) < 5


def test_a_first_hundred_of_them_is_survived_too() -> None:
    assert [fallen for _, _, fallen in survived(25).values() if fallen] == []
