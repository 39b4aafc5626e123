"""YAML, JSON and XML of strangers: read as what they are, refused where they cost more than they may."""

from __future__ import annotations

import io
import os
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from liftgate.documents import (
    DocumentError,
    Limits,
    compose_yaml,
    iterate_xml,
    load_json,
    load_yaml,
    parse_json,
    parse_xml,
    parse_yaml,
    read_limited,
)

SRC = Path(__file__).parents[1] / "src" / "liftgate"


def bomb(levels: int = 30, width: int = 10) -> str:
    """A few hundred bytes of YAML that stand for `width ** levels` values."""
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE: dict[str, Callable[[], object]] = {
    "yaml alias bomb": lambda: parse_yaml(bomb()),
    "yaml alias bomb in a key's place": lambda: parse_yaml(f"{bomb(8)}\nnames: *a7"),
    "yaml alias of itself": lambda: parse_yaml("&a [*a]"),
    "yaml aliases nested": lambda: parse_yaml(
        "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 400)])
    ),
    "yaml merge bomb": lambda: parse_yaml(
        "\n".join(["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 30)])
    ),
    "yaml deep": lambda: parse_yaml("[" * 100_000),
    "yaml deep blocks": lambda: parse_yaml("".join(" " * n + "a:\n" for n in range(200))),
    "yaml base 60": lambda: parse_yaml("a: 1" + ":10" * 200_000),
    "yaml long number": lambda: parse_yaml("a: " + "9" * 900_000),
    "yaml many values": lambda: parse_yaml("[" + "a," * 200_000 + "]"),
    "yaml python object": lambda: parse_yaml("!!python/object/apply:os.system ['true']"),
    "yaml python name": lambda: parse_yaml("a: !!python/name:os.system ''"),
    "yaml character that none is": lambda: parse_yaml('"\\UFFFFFFFF"'),
    "yaml not UTF-8": lambda: parse_yaml(b"a: \xff\xfe"),
    "yaml bad date": lambda: parse_yaml("a: 2024-13-45"),
    "yaml too large": lambda: parse_yaml("# " + "x" * (2 << 20)),
    "json deep lists": lambda: parse_json("[" * 1_000_000),
    "json deep objects": lambda: parse_json('{"a":' * 100_000 + "1" + "}" * 100_000, Limits(size=4 << 20)),
    "json deep behind quotes": lambda: parse_json('["\\"", ' + "[" * 1000 + "]" * 1000 + "]"),
    "json escaped quotes never closed": lambda: parse_json("[" * 60 + '"' + '\\"' * 400_000),
    "json long integer": lambda: parse_json("9" * 100_000),
    "json many values": lambda: parse_json("[" + "1," * 200_000 + "1]"),
    "json cut off": lambda: parse_json('{"a": [1, 2'),
    "json not UTF-8": lambda: parse_json(b'{"a": "\xff"}'),
    "xml billion laughs": lambda: parse_xml(
        b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>'
    ),
    "xml external entity": lambda: parse_xml(b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>'),
    "xml external DTD": lambda: parse_xml(b'<!DOCTYPE l SYSTEM "http://127.0.0.1:9/x.dtd"><l/>'),
    "xml deep": lambda: parse_xml(b"<a>" * 100_000),
    "xml many elements": lambda: parse_xml(b"<l>" + b"<a/>" * 50_000 + b"</l>", Limits(nodes=20_000)),
    "xml large attribute": lambda: list(iterate_xml(io.BytesIO(b'<l p="' + b"1,2;" * 3_000_000 + b'"/>'))),
    "xml odd encoding": lambda: parse_xml(b'<?xml version="1.0" encoding="no-such"?><l/>'),
    "xml cut off": lambda: parse_xml(b"<l><a>"),
}  # fmt: skip


@pytest.mark.parametrize("read", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_refused_in_little_time_and_memory(read: Callable[[], object]) -> None:
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError) as caught:
            read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20
    assert time.process_time() - begun < 20  # traced, on a busy machine; quadratic costs would be minutes
    assert len(str(caught.value)) < 400


def test_a_document_that_a_person_wrote_is_read_as_pyyaml_reads_it(tmp_path: Path) -> None:
    text = "path: .\nnames: {0: cat, 1: 'no'}\nratios: &r [0.7, 1e-3, .inf]\nagain: *r\nwhen: 2024-01-02\non: yes\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    (tmp_path / "a.yaml").write_text(f"\ufeff{text}", "utf-8")
    assert load_yaml(tmp_path / "a.yaml") == yaml.safe_load(text)
    assert parse_yaml("") is None


def test_a_document_error_names_the_line() -> None:
    with pytest.raises(DocumentError) as caught:
        parse_yaml("a: 1\nb: [1, 2\nc: 3\n")
    assert caught.value.line == 3
    assert caught.value.place("x.yaml") == "x.yaml:3"
    with pytest.raises(DocumentError) as caught:
        parse_json('{\n"a": 1,\n}')
    assert caught.value.line == 3


def test_merges_are_counted_where_they_are_allowed() -> None:
    assert compose_yaml("a: &a {x: 1}\nb: {<<: *a}") is not None


def test_a_pipe_or_a_large_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DocumentError, match="regular file"):
        read_limited(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 33)  # sparse: no disk is used
    with pytest.raises(DocumentError, match="larger than 1 MiB"):
        load_json(tmp_path / "large")
    with pytest.raises(FileNotFoundError):
        load_json(tmp_path / "nothing")


PLAIN = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)))
def test_json_comes_back_as_it_was_written(value: object) -> None:
    import json

    assert parse_json(json.dumps(value)) == value


@given(st.text(alphabet="[]{}\"\\,:&*a0 \n-!<>'|", max_size=60))
def test_no_text_gives_anything_but_a_value_or_a_document_error(text: str) -> None:
    for read in (parse_yaml, parse_json, lambda text: parse_xml(text.encode())):
        try:
            read(text)
        except DocumentError as error:
            assert str(error)


OWN_FILES = {
    "ledger/entry.py": "entries that Liftgate wrote, checked by hash",
    "ledger/head_file.py": "number and hash that Liftgate wrote",
    "ledger/runs.py": "run.json",
    "engines/mirror.py": "what Liftgate wrote into its store",
    "locks.py": "who holds a lock",
    "pipeline/control/status_file.py": "status",
    "pipeline/control/stop_request.py": "a request to stop",
    "training/events.py": "events of a child process",
    "training/job.py": "a child process's job",
    "data/core/image_identity.py": "the index of locked images",
    "data/video_frames/journal.py": "extraction in progress",
    "checks/images/fact_cache.py": "a cache",
    "checks/rule_pages.py": "a file of the package's own sources",
    "backends/toy.py": "the toy backend's state",
    "backends/prediction_output.py": "parts of predictions that workers wrote, compared by hash",
    "backends/sidecar.py": "hashes of a state that Liftgate wrote",
    "deploy/bench/contender.py": "answers of a child process",
    "deploy/bench/worker.py": "commands of the parent process",
    "testing/backends.py": "what a backend under test wrote",
    "data/formats/coco/document.py": "limits of its own, and messages that name the row",
}
"""Modules that may call a JSON parser themselves, and what of."""
PARSERS = re.compile(
    r"yaml\.(?:safe_|full_|unsafe_)?load(?:_all)?\(|yaml\.(?:compose|parse|scan)\w*\(|\bjson\.loads?\(|"
    r"(?:from|import) (?:defusedxml|xml\.(?:dom|sax)\b(?!\.saxutils))|ElementTree\.|import (?:fromstring|iterparse)"
)


def test_only_one_module_parses_yaml_json_and_xml_of_strangers() -> None:
    found = {
        path.relative_to(SRC).as_posix(): line.strip()
        for path in SRC.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if PARSERS.search(line)
    }
    found.pop("documents.py")
    assert {name: line for name, line in found.items() if name not in OWN_FILES} == {}
    yaml_or_xml = {name: line for name, line in found.items() if "json" not in line}
    assert yaml_or_xml == {}, "YAML and XML are parsed in documents.py alone"


@pytest.mark.parametrize("encoding", ["utf-32", "utf-7", "shift_jis", "no-such-encoding"])
def test_an_encoding_that_cannot_be_read_is_an_error_with_words(encoding: str) -> None:
    with pytest.raises(DocumentError):
        parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "x: {y: 1, y: 1}", "- {1: a, 1: b}"])
def test_a_key_that_is_there_twice_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="is there twice"):
        parse_yaml(text)


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"x": {"y": 1, "\\u0079": 1}}]'])
def test_a_key_of_json_that_is_there_twice_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="is there twice"):
        parse_json(text)


def test_keys_that_only_look_alike_are_not_the_same_key() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: *x\n'1': s\n1: n\n") == {"a": {"k": 1}, "b": {"k": 1}, "1": "s", 1: "n"}
