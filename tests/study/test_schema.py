"""The schema for editors and the page for people say what the door accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from liftgate.study.schema import json_schema, main, reference, schema_text
from liftgate.study.vocabulary import METRICS
from liftgate.study.yaml_keys import StudyKeys

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "content"), [("study.schema.json", schema_text), ("study.md", reference)])
def test_the_files_in_docs_are_up_to_date(name: str, content: Any) -> None:
    assert (DOCS / name).read_text() == content(), "run: python -m liftgate.study.schema docs"


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    main(tmp_path)
    assert (tmp_path / "study.schema.json").read_text() == schema_text()
    assert (tmp_path / "study.md").read_text() == reference()


def test_every_key_has_a_description_and_unknown_keys_are_refused_everywhere() -> None:
    schema = json_schema()
    for definition in (schema, *schema["$defs"].values()):
        assert definition["additionalProperties"] is False
        for name, entry in definition["properties"].items():
            assert entry.get("description"), name


def test_every_key_stands_in_the_reference() -> None:
    text = reference()
    schema = json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for name in definition["properties"]:
            assert f"| `{name}` |" in text
    for metric in METRICS:
        assert f"`{metric}`" in text


def test_every_reference_inside_the_schema_leads_somewhere() -> None:
    targets = re.findall(r'"\$ref": "#/\$defs/(\w+)"', schema_text())
    assert targets and set(targets) <= set(json_schema()["$defs"])


def test_editors_are_offered_metrics_steps_and_the_usual_arguments() -> None:
    text = json.dumps(json_schema())
    for word in ('"mAP50-95"', '"baseline"', '"epochs"', '"PASS"', '"synthetic"'):
        assert word in text


def test_required_keys_are_the_models() -> None:
    assert json_schema()["required"] == [name for name, key in StudyKeys.model_fields.items() if key.is_required()]
