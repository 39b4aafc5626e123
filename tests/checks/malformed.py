"""Ten thousand malformed files, read under a memory limit: run as a child process by test_bad_input.py.

python tests/checks/malformed.py EXAMPLES_PER_FORMAT    writes {"format": [examples, slowest seconds, what fell over]}
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.formats.read import read
from liftgate.errors import LiftgateError

LIMIT = 512 << 20
_CHECKED = 50  # every so many files all rules look at what was read

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["..", "../../etc", "/dev/zero", "images", "", " ", "~", "a\nb", "\x00", "1e999", "0x10", "имя"]),
)
anything = st.recursive(
    odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
number = st.one_of(
    st.floats().map(str),
    st.sampled_from(["0.5", "0", "1", "-1", "nan", "inf", "1e400", "9" * 40, ".", "1,0", "0.5f", "１", "--1", ""]),
)
words = st.lists(number, max_size=8).map(" ".join)
label_file = st.one_of(
    st.lists(words, max_size=12).map(lambda rows: "\n".join(rows).encode()),
    st.binary(max_size=200),
    st.integers(1, 4000).map(lambda n: b"0 .5 .5 .1 .1 " * n),
    st.integers(1, 2000).map(lambda n: b"0 .5 .5 .1 .1\r" * n),
)


def keyed(names: str) -> st.SearchStrategy[Any]:
    """A mapping with the keys of a format, each missing, sound in shape or anything."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names.split(), anything))


rows_of = lambda names: anything | st.lists(keyed(names) | anything, max_size=4)  # noqa: E731
data_yaml = st.one_of(
    keyed("path train val test nc names kpt_shape flip_idx kpt_names download").map(lambda d: json.dumps(d).encode()),
    st.binary(max_size=200),
    st.text(max_size=120).map(lambda t: f"names: {t}\ntrain: images".encode("utf-8", "surrogatepass")),
    st.integers(2, 40).map(lambda n: b"a: &a [x,x]\n" + b"".join(f"b{i}: &b{i} [*a,*a]\n".encode() for i in range(n))),
    st.tuples(st.sampled_from([b"[", b"- ", b"{a: ", b"? ", b"[a,"]), st.integers(1, 200_000)).map(
        lambda t: b"train: x\nnames: " * (t[0] in b"[{a: ") + t[0] * t[1]
    ),
    st.integers(1, 40).map(
        lambda n: (
            b"a: &b0 {x: 1}\n" + b"".join(f"b{i}: &b{i}\n  <<: [*b{i - 1}, *b{i - 1}]\n".encode() for i in range(1, n))
        )
    ),
    st.integers(1, 200_000).map(lambda n: b"nc: 1" + b":59" * n),
)
coco = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "images": rows_of("id file_name width height"),
            "annotations": rows_of("id image_id category_id bbox area iscrowd segmentation keypoints"),
            "categories": rows_of("id name keypoints skeleton supercategory"),
        },
    ).map(lambda d: json.dumps(d).encode()),
    anything.map(lambda d: json.dumps(d).encode()),
    st.binary(max_size=200),
    st.integers(1, 20_000).map(lambda n: b"[" * n),
)
tags = "annotation filename size width height object name bndbox xmin ymin xmax ymax difficult part".split()  # noqa: SIM905


def element(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(tags), st.lists(inner, max_size=4)).map(
        lambda t: f"<{t[0]}>{''.join(t[1])}</{t[0]}>"
    )


xml = st.recursive(number | st.text(max_size=6), element, max_leaves=12)


def tagged(name: str, *inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An element whose children have the right shape, are something else or are missing."""
    kept = st.tuples(*(one | st.just("") | xml for one in inner))
    return kept.map(lambda parts: f"<{name}>{''.join(parts)}</{name}>")


sides = [tagged(side, number) for side in ("xmin", "ymin", "xmax", "ymax")]
thing = tagged(
    "object", tagged("name", st.text("abв&lt;", max_size=4)), tagged("bndbox", *sides), tagged("difficult", number)
)
document = tagged(
    "annotation",
    tagged("filename", st.sampled_from(["a.png", "../../a.png", "/dev/zero", "ф.png", ""])),
    tagged("size", tagged("width", number), tagged("height", number)),
    *[thing] * 3,
)
ENCODINGS = "utf-8 utf-16 utf-32 latin-1 cp1251 klingon utf-7 zlib idna shift_jis ascii".split()  # noqa: SIM905


def declared(text: str, said: str, written: str) -> bytes:
    """An XML that says one encoding and is written in another."""
    return f'<?xml version="1.0" encoding="{said}"?>{text}'.encode(written, "replace")


def bomb(levels: int) -> bytes:
    """Entities that each stand for ten of the one before."""
    entities = "".join(f'<!ENTITY z{i + 1} "{f"&z{i};" * 10}">' for i in range(levels))
    head = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY z0 "aaaaaaaaaa">{entities}]>'
    return f"{head}<annotation>&z{levels};</annotation>".encode()


voc = st.one_of(
    xml.map(lambda t: f"<annotation>{t}</annotation>".encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
    document.map(str.encode),
    st.builds(declared, document, st.sampled_from(ENCODINGS), st.sampled_from(ENCODINGS[:5])),
    st.builds(
        lambda tag, n, closed: f"<{tag}>" * n + f"</{tag}>" * (n * closed),
        st.sampled_from(tags),
        st.integers(1, 99_999),
        st.booleans(),
    ).map(str.encode),
    st.integers(1, 9).map(bomb),
    st.sampled_from(["file:///etc/passwd", "file:///dev/zero", "http://localhost:1/x"]).map(
        lambda at: f'<!DOCTYPE a [<!ENTITY x SYSTEM "{at}">]><annotation>&x;</annotation>'.encode()
    ),
)


def _image(folder: Path) -> None:
    folder.mkdir(parents=True)
    Image.new("RGB", (32, 24), (90, 120, 30)).save(folder / "a.png")


def _label(root: Path, content: bytes) -> Path:
    _image(root / "images")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_bytes(content)
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [cup, plate]\n")
    return root / "data.yaml"


def _yaml(root: Path, content: bytes) -> Path:
    _image(root / "images")
    (root / "data.yaml").write_bytes(content)
    return root / "data.yaml"


def _coco(root: Path, content: bytes) -> Path:
    _image(root / "images")
    (root / "labels.json").write_bytes(content)
    return root / "labels.json"


def _voc(root: Path, content: bytes) -> Path:
    _image(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "Annotations" / "a.xml").write_bytes(content)
    if len(content) % 2:  # the sizes in the file are all there is to know then
        (root / "JPEGImages" / "a.png").unlink()
    return root


FORMATS: dict[str, tuple[st.SearchStrategy[bytes], Callable[[Path, bytes], Path]]] = {
    "label": (label_file, _label),
    "yaml": (data_yaml, _yaml),
    "coco": (coco, _coco),
    "voc": (voc, _voc),
}


def survive(strategy: st.SearchStrategy[bytes], write: Callable[[Path, bytes], Path], count: int) -> list[Any]:
    """Return how many files were read, the slowest one's seconds, and what fell over."""
    told: list[Any] = [0, 0.0, []]

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def one(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            # Deep enough that `../..` stays inside: what lies beside it on this machine is not what is tested.
            source = write(Path(scratch) / "a" / "b" / "c" / "set", content)
            begun = time.monotonic()
            try:
                dataset = read(source)
                if told[0] % _CHECKED == 0:
                    run(Subject({"set": dataset}))
            except LiftgateError as error:
                assert str(error)
            except Exception as error:
                if len(told[2]) < 10:
                    told[2].append(f"{type(error).__name__}: {error} from {content[:300]!r}")
            told[0] += 1
            told[1] = max(told[1], round(time.monotonic() - begun, 3))

    one()
    return told


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    sys.stdout.write(json.dumps({name: survive(*parts, int(sys.argv[1])) for name, parts in FORMATS.items()}))
