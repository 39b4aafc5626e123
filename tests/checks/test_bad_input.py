"""Hostile files: findings or one clear error, never a traceback."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from checks.small_set import SmallSet
from liftgate.checks.images.scan import read_facts
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.voc.annotation import SIDES
from liftgate.errors import DataError

NUMBERS = st.one_of(
    st.sampled_from(["0", "1", "-1", "nan", "inf", "1e400", "0.5", "99999999999999999999", "0x1", "", "é", "½", "1_0"]),
    st.floats(allow_nan=True).map(str),
)
ROWS = st.lists(st.lists(NUMBERS, max_size=8).map(" ".join), max_size=6).map("\n".join)
RELAXED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=15
)


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
    facts = read_facts(small.image())
    assert facts.error is None or len(facts.error) > 3


@RELAXED
@given(st.integers(1, 400), st.sampled_from(["PNG", "JPEG", "BMP", "WEBP", "TIFF"]))
def test_a_picture_cut_off_is_readable_or_says_why(small: SmallSet, lost: int, kind: str) -> None:
    path = small.root / f"cut.{kind.lower()}"
    Image.open(small.image()).save(path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(1, len(whole) - lost)])
    facts = read_facts(path)
    assert facts.error is None or facts.thumb == b""


def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (15_000, 15_000)).save(bomb)
    assert "too large" in (read_facts(bomb).error or "") or "bomb" in (read_facts(bomb).error or "").lower()


def test_names_with_cyrillic_spaces_brackets_and_newlines_are_survived(small: SmallSet) -> None:
    for number, name in enumerate(["голова 1", "a [b]", "new\nline"]):
        image, label = small.image(number=10 + number), small.label(number=10 + number)
        image.rename(image.with_name(f"{name}.png"))
        label.rename(label.with_name(f"{name}.txt"))
    assert [f.id for f in run(small.subject()).findings if f.severity == "error"] == []


def test_a_name_that_is_not_utf_8_is_one_error(small: SmallSet) -> None:
    """No JSON can hold it, so no prediction could say which image it is about."""
    image, label, raw = small.image(number=10), small.label(number=10), os.fsdecode(b"raw\xff")
    image.rename(image.with_name(f"{raw}.png"))
    label.rename(label.with_name(f"{raw}.txt"))
    assert [f.id for f in run(small.subject()).findings if f.severity == "error"] == ["images.names"]


@pytest.mark.parametrize("folder", ["данные 1", "a [b] {c}", "new\nline", "raw\udcff", "-x", "#%20", "images"])
def test_a_folder_of_any_name_is_survived(small: SmallSet, folder: str) -> None:
    """A security integrator keeps the data under a Cyrillic folder."""
    moved = small.root.rename(small.root.with_name(folder))
    dataset = read(moved / "data.yaml", name="small")
    assert len(dataset.images) == 70 and len(dataset.labels) > 100
    assert [f.id for f in run(Subject({"small": dataset})).findings if f.severity == "error"] == []


def _voc(root: Path, xml: bytes) -> Dataset:
    (root / "Annotations").mkdir()
    (root / "JPEGImages").mkdir()
    Image.new("RGB", (40, 30)).save(root / "JPEGImages" / "a.png")
    (root / "Annotations" / "a.xml").write_bytes(xml)
    return read(root)


LAUGHS = "".join(f'<!ENTITY z{i + 1} "{f"&z{i};" * 10}">' for i in range(9))
BAD_XML = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY z0 "ha">{LAUGHS}]><annotation>&z9;</annotation>'.encode(),
    "quadratic": b'<!DOCTYPE a [<!ENTITY x "'
    + b"x" * 100_000
    + b'">]><annotation>'
    + b"&x;" * 10_000
    + b"</annotation>",
    "a file of the machine": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
    "a device": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///dev/zero">]><annotation>&x;</annotation>',
    "nested without end": b"<annotation>" * 300_000,
    "an unknown encoding": b'<?xml version="1.0" encoding="klingon"?><annotation/>',
    "not the encoding it says": b'<?xml version="1.0" encoding="utf-16"?><annotation/>',
    "a byte of zero": b"<annotation>\0</annotation>",
}


@pytest.mark.parametrize("what", BAD_XML)
def test_an_xml_that_attacks_or_lies_is_refused_with_its_place(tmp_path: Path, what: str) -> None:
    (fault,) = _voc(tmp_path, BAD_XML[what]).faults
    assert fault.kind == "xml_broken" and "a.xml" in fault.where and len(fault.message) < 300


@pytest.mark.parametrize("part", [b"<annotation>", b"<object/>"])
def test_an_xml_of_megabytes_is_not_unfolded_into_gigabytes(tmp_path: Path, part: bytes) -> None:
    (fault,) = _voc(tmp_path, part * (6 << 20)).faults
    assert fault.kind == "label_too_large"


def test_numbers_without_measure_are_no_size_and_no_box(tmp_path: Path) -> None:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(SIDES, ("-1e300", "0", "1e308", "9"), strict=True)
    )
    size = f"<size><width>{'9' * 40}</width><height>1e300</height></size>"
    xml = f"<annotation>{size}<object><name>a</name><bndbox>{sides}</bndbox></object></annotation>"
    dataset = _voc(tmp_path, xml.encode())
    assert (dataset.images[0].width, dataset.images[0].height) == (40, 30)
    assert [fault.kind for fault in dataset.faults] == ["row_not_number"]
    (tmp_path / "JPEGImages" / "a.png").unlink()  # now only the file could say how large it is
    assert (read(tmp_path).images[0].width, len(read(tmp_path).labels)) == (0, 0)


BAD_YAML = {
    "nested": b"names: " + b"[" * 1_000_000,
    "nested in blocks": b"- " * 1_000_000,
    "doubled by merging": b"a: &b0 {x: 1}\n"
    + b"".join(b"b%d: &b%d\n  <<: [*b%d, *b%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
    "a number in base 60": b"nc: 1" + b":59" * 300_000,
    "a number of megabytes": b"nc: 0x" + b"f" * 3_000_000,
    "a million values": b"names: [" + b"a," * 1_000_000 + b"]",
    "a program": b"!!python/object/apply:os.system [touch pwned]",
}


@pytest.mark.parametrize("what", BAD_YAML)
def test_a_data_yaml_that_attacks_is_one_clear_error(small: SmallSet, what: str) -> None:
    small.yaml.write_bytes(BAD_YAML[what])
    with pytest.raises(DataError, match="not valid YAML") as caught:
        read(small.yaml)
    assert "data.yaml:" in str(caught.value) and len(str(caught.value)) < 600


def test_names_that_are_aliases_of_each_other_do_not_grow(small: SmallSet) -> None:
    rows = "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 60))
    small.yaml.write_text(f"b0: &b0 [x, x]\n{rows}names: *b59\ntrain: images/train\n")
    with pytest.raises(DataError, match="after expansion of aliases"):
        read(small.yaml)


@pytest.mark.parametrize("where", ["image", "label"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "link to itself"])
def test_what_is_no_file_is_not_waited_for(small: SmallSet, where: str, kind: str) -> None:
    path = small.image() if where == "image" else small.label()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    found = {finding.id for finding in run(small.subject()).findings}
    if where == "image":
        assert not found.isdisjoint({"images.unreadable", "labels.orphan"})
        assert read_facts(path).error


def test_a_path_upwards_into_a_whole_disk_is_not_walked(small: SmallSet) -> None:
    for number in range(2100):
        (small.root.parent / "disk" / str(number)).mkdir(parents=True)
    (small.root.parent / "disk" / "up").symlink_to(small.root.parent)
    small.keys(test="../disk")
    (found,) = [f for f in run(small.subject(), select=["data.path"]).findings if f.severity == "error"]
    assert "no folder of images" in found.message


@pytest.mark.parametrize("name", ["../../outside.png", "/etc/hostname", "a/../../outside.png", "..\\..\\outside.png"])
def test_a_coco_name_that_climbs_out_stays_below_its_folder(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "outside.png")
    source = tmp_path / "deep" / "er" / "labels.json"
    source.parent.mkdir(parents=True)
    images = [{"id": 1, "file_name": name, "width": 40, "height": 30}]
    source.write_text(json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}))
    (image,) = read(source).images
    assert image.path.is_relative_to(tmp_path) and ".." not in image.path.parts and ".." not in image.id


def _png(width: int, height: int, *extra: bytes) -> bytes:
    """A PNG with a header of this size, other chunks, and a few bytes of pixels."""
    parts = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), *extra]
    parts += [b"IDAT" + zlib.compress(bytes(1000)), b"IEND"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_header_that_promises_ten_billion_pixels_is_not_believed(small: SmallSet) -> None:
    small.image().write_bytes(_png(100_000, 100_000))
    assert (
        "too large" in (read_facts(small.image()).error or "")
        or "bomb" in (read_facts(small.image()).error or "").lower()
    )
    assert "images.unreadable" in {finding.id for finding in run(small.subject()).findings}


def test_a_note_in_a_picture_that_unpacks_to_a_gigabyte_is_refused(small: SmallSet) -> None:
    small.image().write_bytes(_png(64, 64, b"zTXtkey\0\0" + zlib.compress(bytes(80 << 20))))
    assert read_facts(small.image()).error


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
def test_thousands_of_malformed_files_are_survived_in_five_seconds_and_512_mb_each() -> None:
    each = int(os.environ.get("LIFTGATE_MALFORMED", "800"))  # 2,500 of each format are ten thousand
    told = survived(each)
    assert sum(count for count, _, _ in told.values()) >= 4 * each
    assert [fallen for _, _, fallen in told.values() if fallen] == []
    assert max(seconds for _, seconds, _ in told.values()) < 5


def test_a_first_hundred_of_them_is_survived_too() -> None:
    assert [fallen for _, _, fallen in survived(25).values() if fallen] == []
