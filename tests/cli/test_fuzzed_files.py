"""Files that reached new code when atheris looked for them (benchmarks/fuzz.py) end in a result or one message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.test_mutated_files import CASES, EXPECTED
from cli.test_mutated_files import place as place
from cli.test_mutated_records import FILES, write_more, write_openvino
from liftgate.cli import main

KEPT: dict[str, list[str]] = json.loads((Path(__file__).parent / "fuzzed.json").read_text())
KINDS = {**CASES, **FILES}


@pytest.mark.parametrize("kind", KEPT)
def test_a_file_that_reached_new_code_ends_in_a_result_or_one_message(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, file, command = KINDS[kind]
    write_more(place)
    if kind == "metadata.yaml":
        pytest.importorskip("openvino")
        write_openvino(place)
    for content in KEPT[kind]:
        (place / file).write_bytes(content.encode("latin-1"))
        for output in ("o.json", "o.settings.json", "s.csv"):
            (place / output).unlink(missing_ok=True)
        code = main(command)
        shown = capsys.readouterr()
        assert code in EXPECTED.get(kind, (0, 2, 3)), (code, shown.err[-300:], content)
        assert "Traceback" not in shown.err and len(shown.err) < 20_000, content
