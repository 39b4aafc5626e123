"""Archives, models and masks that a malicious author made: one message, in two seconds and 300 MB, nothing outside.

Weights are in tests/weights, YAML, JSON and XML in tests/test_documents.py, lying sizes in tests/data/core.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import stat
import struct
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("onnxruntime")

import numpy as np
import onnx
import onnxruntime  # noqa: F401  # before the forks, which would each pay for it
from onnx import TensorProto, helper, numpy_helper

from cli.test_mutated_files import CVAT, IMAGE, ROW
from deploy.colours import write_detector
from liftgate.cli import main
from liftgate.testing.data import picture

SECONDS, MEGABYTES = 4.0, 300
"""Two seconds on a quiet machine: tests run beside each other"""
CHECK_ZIP = ["check", "set.zip"]
FETCH = ["data", "fetch", "set.zip", "--out", "got"]
PREDICT = ["predict", "m.onnx", "a.png", "--out", "o.json"]
PREDICT_OPENVINO = ["predict", "ov/m.xml", "a.png", "--out", "o.json"]


class Ending(NamedTuple):
    """How a command ended, and what it took"""

    code: int
    said: str
    seconds: float
    megabytes: float


def in_fork(command: list[str], folder: Path) -> Ending:
    """Run a command in a fork of this process, which has imported what it needs and opened no model.

    A fork takes over the locks that other threads held, which nobody releases there: one that waits is made anew.
    """
    for _ in range(5):
        if (ended := _try_in_fork(command, folder)) is not None:
            return ended
    raise AssertionError(f"{command} does not end")


def _try_in_fork(command: list[str], folder: Path) -> Ending | None:
    begun = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            handle = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout = sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            os.chdir(folder)
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            code = main(command)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    given_up = time.monotonic() + 90
    while not (found := os.wait4(pid, os.WNOHANG))[0]:
        if time.monotonic() > given_up:
            os.kill(pid, signal.SIGKILL)
            os.wait4(pid, 0)
            return None
        time.sleep(0.01)
    _, status, used = found
    said = (folder / "said.txt").read_text("utf-8", "replace")
    return Ending(
        os.waitstatus_to_exitcode(status), said, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024 - begun / 1e6
    )


# Archives


def zip_of(place: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> None:
    with zipfile.ZipFile(place / "set.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)


def sound(place: Path) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    return [("annotations.xml", CVAT.encode()), ("images/a.png", (place / "a.png").read_bytes())]


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def one_member(name: str) -> Callable[[Path], None]:
    return lambda place: zip_of(place, *sound(place), (name, b"bad"))


def declared(place: Path) -> None:
    """The size in the directory says 4 GB, the member is small."""
    zip_of(place, *sound(place))
    data = bytearray((place / "set.zip").read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    (place / "set.zip").write_bytes(data)


def encrypted(place: Path) -> None:
    zip_of(place, *sound(place))
    data = bytearray((place / "set.zip").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    (place / "set.zip").write_bytes(data)


def nested(place: Path) -> None:
    inner = bytes(1000)
    for _ in range(30):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("set.zip", inner)
        inner = buffer.getvalue()
    zip_of(place, ("set.zip", inner))


def overlapping(copies: int, size: int) -> Callable[[Path], None]:
    """Every entry of the directory names the same bytes, which are zeros when they are unpacked."""

    def write(place: Path) -> None:
        zip_of(place, *sound(place), ("images/zero.png", bytes(size)))
        with zipfile.ZipFile(place / "set.zip", "a") as made:
            known = made.getinfo("images/zero.png")
            for number in range(copies):
                copy = zipfile.ZipInfo(f"images/z{number}.png")
                for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset", "flag_bits"):
                    setattr(copy, name, getattr(known, name))
                made.filelist.append(copy)
                made.NameToInfo[copy.filename] = copy
            made._didModify = True  # type: ignore[attr-defined]

    return write


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "lol">{ENTITIES}]>'
ZIPS: dict[str, Callable[[Path], None]] = {
    "bomb of 10 GB": overlapping(100, 100 << 20),
    "bomb below 1 GB": overlapping(9, 100 << 20),
    "many small bombs": overlapping(800, 1 << 20),
    "archive in archive": nested,
    "name above": one_member("../../escaped.png"),
    "absolute name": one_member("/tmp/escaped.png"),
    "name of Windows": one_member("C:\\escaped.png"),
    "name with backslashes": one_member("..\\escaped.png"),
    "name of 60,000 characters": one_member("a/" * 30_000 + "b.png"),
    "name with ESC and a line": one_member("images/\x1b[2J\n.png"),
    "link": lambda place: zip_of(place, (linked("images"), b"/etc"), ("images/passwd.png", b"x")),
    "link of an image": lambda place: zip_of(place, *sound(place), (linked("images/b.png"), b"/etc/passwd")),
    "password": encrypted,
    "one name twice": lambda place: zip_of(place, *sound(place), *sound(place)),
    "lying size": declared,
    "entities": lambda place: zip_of(place, ("annotations.xml", f"{BOMB}<annotations>&e11;</annotations>".encode())),
    "external entity": lambda place: zip_of(
        place,
        ("annotations.xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotations>&e;</annotations>'),
    ),
    "no image": lambda place: zip_of(place, ("annotations.xml", b"<annotations/>")),
    "two annotations": lambda place: zip_of(place, *sound(place), ("x/annotations.xml", CVAT.encode())),
    "not an archive": lambda place: (place / "set.zip").write_bytes(b"PK\x03\x04" + bytes(100)) and None,
}  # fmt: skip

UNPACKED = {"archive in archive", "name with ESC and a line", "entities", "external entity", "no image",
            "two annotations"}  # fmt: skip
"""What `data fetch` may unpack: files that nobody has read by then"""


# Models


def changed_detector(place: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(str(write_detector(place / "m.onnx")))
    change(model)
    (place / "m.onnx").write_bytes(model.SerializeToString())


def outside(location: str, **more: str) -> Callable[[Path], None]:
    """The weights lie elsewhere, by the file."""

    def change(model: onnx.ModelProto) -> None:
        one = next(tensor for tensor in model.graph.initializer if tensor.name == "means")
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            one.external_data.add(key=key, value=value)

    def write(place: Path) -> None:
        secret = place.parent / "secret.bin"
        secret.write_bytes(bytes(1 << 16))
        (place / "linked.bin").symlink_to(secret)
        changed_detector(place, change)

    return write


def huge(*shape: int, before: str = "Add") -> Callable[[Path], None]:
    """A constant of an enormous shape, which the runtime would compute when it opens the file."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "enormous"))
        graph.node.insert(0, helper.make_node("ConstantOfShape", ["enormous"], ["filled"], "filled"))
        graph.node.insert(1, helper.make_node("ReduceSum", ["filled"], ["summed"], "summed", keepdims=0))
        last = graph.node[-1]
        last.output[0] = "plain"
        graph.node.append(helper.make_node(before, ["plain", "summed"], ["output0"], "with_bomb"))

    return lambda place: changed_detector(place, change)


def big_input(side: int) -> Callable[[Path], None]:
    def change(model: onnx.ModelProto) -> None:
        for axis in (2, 3):
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side

    return lambda place: changed_detector(place, change)


def custom(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "evil"
    model.opset_import.append(helper.make_opsetid("evil", 1))


ONNX: dict[str, Callable[[Path], None]] = {
    "weights above the folder": outside("../secret.bin"),
    "weights at an absolute place": outside("/etc/passwd"),
    "weights through a link": outside("linked.bin"),
    "weights missing": outside("m.onnx.data"),
    "weights in a device": outside("/dev/zero"),
    "weights of a negative place": outside("m.onnx", offset="-5", length="3072"),
    "weights of an enormous length": outside("m.onnx", offset="0", length=str(1 << 60)),
    "a constant of a terabyte": huge(1 << 20, 1 << 18),
    "an input of a million pixels a side": big_input(1_000_000),
    "an input of 20,000 pixels a side": big_input(20_000),
    "operations of strangers": lambda place: changed_detector(place, custom),
    "no graph": lambda place: changed_detector(place, lambda model: model.ClearField("graph")),
    "random bytes": lambda place: (place / "m.onnx").write_bytes(bytes(range(256)) * 100) and None,
    "nothing": lambda place: (place / "m.onnx").write_bytes(b"") and None,
}


OUTSIDE = {case for case in ONNX if "above" in case or "absolute" in case or "link" in case or "device" in case}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "place"
    picture(folder / "a.png", (64, 48))
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")  # an unforeseen error is raised, not printed
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return folder


def assert_bounded(ending: Ending, codes: tuple[int, ...]) -> None:
    assert ending.code in codes, ending
    assert "Traceback" not in ending.said and "fault in liftgate" not in ending.said, ending.said[-600:]
    assert len(ending.said) < 5000 and "\x1b" not in ending.said
    assert len(re.findall("^error: ", ending.said, re.MULTILINE)) == (1 if ending.code == 2 else 0), ending.said
    assert ending.seconds <= SECONDS and ending.megabytes <= MEGABYTES, ending


def files_of(place: Path) -> list[Path]:
    return sorted(one for one in place.parent.rglob("*") if "cache" not in one.parts and one.name != "said.txt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", ZIPS)
def test_a_hostile_archive(place: Path, case: str) -> None:
    ZIPS[case](place)
    before = files_of(place)
    assert_bounded(in_fork(CHECK_ZIP, place), (0, 2, 3))  # which opens the annotations alone, and unpacks nothing
    assert files_of(place) == before
    assert_bounded(in_fork(FETCH, place), (0,) if case in UNPACKED else (2,))
    assert case in UNPACKED or files_of(place) == before
    assert not Path("/tmp/escaped.png").exists() and not (place.parent / "escaped.png").exists()


@pytest.mark.parametrize("case", ONNX)
def test_a_hostile_onnx(place: Path, case: str) -> None:
    ONNX[case](place)
    ending = in_fork(PREDICT, place)
    assert_bounded(ending, (2,))
    assert not (place / "o.json").exists()
    assert ("outside its own folder" in ending.said) == (case in OUTSIDE)


# OpenVINO


def openvino_model(place: Path, change: Callable[[str], str]) -> None:
    pytest.importorskip("openvino")
    (place / "ov").mkdir()
    detector = str(write_detector(place / "m.onnx", metadata={}))
    made = place / "ov" / "m.xml"
    # Saved by another process: a fork of one that has used OpenVINO would wait for threads that it has not.
    code = "import openvino, sys; openvino.save_model(openvino.convert_model(sys.argv[1]), sys.argv[2], False)"
    subprocess.run([sys.executable, "-c", code, detector, str(made)], check=True, capture_output=True)
    text = made.read_text()
    changed = change(text)
    assert changed != text
    made.write_text(changed)


XML = '<?xml version="1.0"?>'
OPENVINO: dict[str, Callable[[str], str]] = {
    "entities": lambda text: text.replace(XML, BOMB).replace('name="images"', 'name="&e11;"'),
    "external entity": lambda text: text.replace(
        XML, f'{XML}<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    ).replace('"images"', '"&e;"'),
    "enormous shape of a constant": lambda text: re.sub(r'shape="[\d,]+" o', 'shape="99999,9999999" o', text),
    "enormous size of a constant": lambda text: re.sub(r' size="\d+"', ' size="4611686018427387904"', text),
    "weights behind the end": lambda text: re.sub(r' offset="\d+"', ' offset="1000000000"', text),
    "negative offset": lambda text: re.sub(r' offset="\d+"', ' offset="-8"', text),
    "enormous input": lambda text: re.sub(r'shape="1,3,128,128"', 'shape="1,3,1000000,1000000"', text).replace(
        "<dim>128</dim>", "<dim>1000000</dim>"
    ),
    "deep": lambda text: text.replace("</net>", "<rt_info>" + "<a>" * 100_000 + "</net>"),
    "many layers": lambda text: text.replace("<layers>", "<layers>" + '<layer id="9" type="Y"/>' * 300_000),
    "operations of strangers": lambda text: text.replace('type="Convolution"', 'type="Evil"'),
    "cut": lambda text: text[: len(text) // 2],
    "a cycle": lambda text: re.sub(r'from-layer="\d+"', 'from-layer="2"', text),
}  # fmt: skip


@pytest.mark.parametrize("case", OPENVINO)
def test_a_hostile_openvino_model(place: Path, case: str) -> None:
    openvino_model(place, OPENVINO[case])
    assert_bounded(in_fork(PREDICT_OPENVINO, place), (2,))
    assert not (place / "o.json").exists()


# Masks and outlines


def coco_of(*segmentations: object) -> str:
    rows = [{**ROW, "id": n, "segmentation": one, "area": 9.0} for n, one in enumerate(segmentations, 1)]
    return json.dumps({"images": [IMAGE], "categories": [{"id": 1, "name": "cat"}], "annotations": rows})


def cvat_of(shapes: str) -> str:
    return f'<annotations><image id="0" name="a.png" width="64" height="48">{shapes}</image></annotations>'


MASK = '<mask label="cat" left="1" top="1" width="5" height="5" rle="{}"/>'
SHAPES: dict[str, tuple[str, str]] = {
    "RLE of enormous counts": ("c.json", coco_of({"counts": [1 << 62, 1 << 62], "size": [48, 64]})),
    "RLE of enormous size": ("c.json", coco_of({"counts": [0, 1 << 60], "size": [1 << 30, 1 << 30]})),
    "RLE of a million counts": ("c.json", coco_of({"counts": [1] * 1_000_000, "size": [48, 64]})),
    "RLE of negative counts": ("c.json", coco_of({"counts": [-5, 9], "size": [48, 64]})),
    "RLE in letters": ("c.json", coco_of({"counts": "o" * 5_000_000, "size": [48, 64]})),
    "RLE that is none": ("c.json", coco_of({"counts": {"a": 1}}, {"size": "x"}, 7, "text", [None], [[[[1]]]])),
    "outlines of a million parts": ("c.json", coco_of([[1, 1, 2, 2, 3, 1]] * 300_000)),
    "outlines of enormous numbers": ("c.json", coco_of([[1e308, -1e308] * 3], [[1e-320] * 6])),
    "mask of enormous counts": ("annotations.xml", cvat_of(MASK.format("9" * 300 + ", 1"))),
    "mask of a million counts": ("annotations.xml", cvat_of(MASK.format("1, " * 1_000_000 + "1"))),
    "mask of an enormous side": ("annotations.xml", cvat_of(MASK.format("1").replace('"5"', f'"{"9" * 40}"'))),
    "thousands of masks": ("annotations.xml", cvat_of(MASK.format("1") * 8_000)),
    "polygons of many points": ("annotations.xml", cvat_of(f'<polygon label="cat" points="{"1,1;" * 500_000}2,2"/>')),
    "polygon of enormous numbers": ("annotations.xml", cvat_of('<polygon label="cat" points="1e308,1;-1e308,2;3,1"/>')),
}
VERBS = {
    "check": lambda file: ["check", file],
    "convert": lambda file: ["data", "convert", file, "--to", "yolo", "--out", "out"],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", SHAPES)
def test_hostile_masks_and_outlines(place: Path, case: str, verb: str) -> None:
    file, text = SHAPES[case]
    (place / file).write_text(text)
    assert_bounded(in_fork(VERBS[verb](file), place), (0, 2, 3))
