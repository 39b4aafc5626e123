"""Write the reference of study.yaml for editors (JSON Schema) and people (docs/study.md), from the pydantic models.

`python -m liftgate.study.schema docs` writes both files; a test fails when they are out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from liftgate.files import write_text
from liftgate.study.engine_keys import EngineKeys
from liftgate.study.gate_keys import ClaimKeys, GateKeys, Keys, ThresholdKeys
from liftgate.study.vocabulary import (
    ARM_WORDS,
    DIFFERENCES,
    EPOCH_METRICS,
    METRICS,
    PLANNED_VERBS,
    RESERVED_ARGUMENTS,
    VERBS,
)
from liftgate.study.yaml_keys import (
    BudgetKeys,
    DatasetKeys,
    DecisionKeys,
    EarlyKillKeys,
    EvaluationKeys,
    ModelKeys,
    PartKeys,
    StageKeys,
    StepKeys,
    StudyKeys,
    TrainedKeys,
)

_SECTIONS: tuple[tuple[str, type[Keys]], ...] = (
    ("The study", StudyKeys),
    ("datasets: NAME: …", DatasetKeys),
    ("arms: NAME: [stage, …]", StageKeys),
    ("data: [part, …] of a stage", PartKeys),
    ("decide: [point, …] of a stage", DecisionKeys),
    ("arms: NAME: {stages: [stage, …], …}", TrainedKeys),
    ("arms: NAME: {weights: …}", ModelKeys),
    ("gates: NAME: …", GateKeys),
    ("gates: NAME: claims: [claim, …]", ClaimKeys),
    ("gates: NAME: threshold: {on: …, …}", ThresholdKeys),
    ("flow: [{step: …}, …]", StepKeys),
    ("early_kill: …", EarlyKillKeys),
    ("budget: …", BudgetKeys),
    ("evaluation: …", EvaluationKeys),
    ("engine: …", EngineKeys),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of study.yaml, as editors use it for completion and hints.

    It describes each key by itself; what must hold between keys (names that exist, the order of the flow) only
    `study_file.load` checks.
    """
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Liftgate study"}
    keys: dict[str, Any] = _tidied(StudyKeys.model_json_schema())
    return head | keys


def schema_text() -> str:
    """Return the schema as the file that editors read."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """Return docs/study.md: every key with its type, default and meaning."""
    schema = json_schema()
    lines = [
        "# study.yaml: every key",
        "",
        "Made from `src/liftgate/study/yaml_keys.py` by `python -m liftgate.study.schema docs`; do not edit.",
        "For completion while you type, put this first in a study (`liftgate init` does):",
        "",
        "```yaml",
        "# yaml-language-server: $schema=study.schema.json",
        "```",
        "",
        "The YAML is read by the core schema of YAML 1.2: `true` and `false` only (`yes`, `on` are words), `1e-3` is a",
        "number, a key given twice is an error; anchors, aliases and `<<` work. Paths are relative to the file.",
        "`--set arms.single.0.recipe.epochs=3` replaces one key for one command and obeys the same rules.",
        "",
    ]
    for title, model in _SECTIONS:
        definition = schema if model is StudyKeys else schema["$defs"][model.__name__]
        lines += _section(title, model, definition)
    lines += _words()
    return "\n".join(lines)


def _section(title: str, model: type[Keys], definition: Mapping[str, Any]) -> list[str]:
    required = definition.get("required", ())
    lines = [
        f"## {title}",
        "",
        definition["description"],
        "",
        "| key | value | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, entry in definition["properties"].items():
        default = "required" if name in required else _default(model.model_fields[name].get_default())
        description = " ".join(entry.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_kind(entry)} | {default} | {description} |")
    return [*lines, ""]


def _words() -> list[str]:
    return [
        "## Words",
        "",
        f"- steps: {_coded(VERBS)}, and the names of gates. Not built yet: {_coded(PLANNED_VERBS)}.",
        f"- metrics: {_coded(METRICS)}. Twelve are COCO's of boxes, those with `OKS-` its ten of "
        "keypoints (`task: pose`), and `PCK@0.05` counts keypoints within 5% of the box diagonal; the others are "
        "taken at the gate's `conf` and IoU 0.5.",
        f"- metrics of an epoch, on val, by the trainer's own formulas: {_coded(EPOCH_METRICS)}.",
        f"- how the training of an arm ends: {_coded(ARM_WORDS)}.",
        f"- differences between the arms of a comparison: {_coded(DIFFERENCES)}, `recipe.NAME`.",
        "",
        "## What a recipe may not set",
        "",
        *(f"- `{name}`: {reason}" for name, reason in RESERVED_ARGUMENTS.items()),
        "",
    ]


def _coded(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _default(value: object) -> str:
    if value is None or value in ([], {}) or isinstance(value, Keys):
        return ""
    return f"`{json.dumps(value)}`"


def _kind(entry: Mapping[str, Any]) -> str:
    """Return a short description of the values of a key."""
    if "$ref" in entry:
        return "mapping"
    if "enum" in entry:
        return "one of the metrics" if "mAP50" in entry["enum"] else " \\| ".join(f"`{word}`" for word in entry["enum"])
    if "anyOf" in entry or "oneOf" in entry:
        branches = entry.get("anyOf") or entry["oneOf"]
        return " or ".join(dict.fromkeys(_kind(branch) for branch in branches))
    kind = entry.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(_plain(word) for word in kind)
    limits = "".join(_limits(entry))
    inner = entry.get("items", {}).get("type")
    return f"list of {_plain(inner)}s" if kind == "array" and isinstance(inner, str) else _plain(kind) + limits


def _plain(kind: str) -> str:
    return {"string": "word", "integer": "whole number", "array": "list", "object": "mapping", "boolean": "switch"}.get(
        kind, kind
    )


def _limits(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in entry and abs(entry[key]) < 2**32:
            yield f" {sign} {entry[key]:g}"


def _tidied(value: Any) -> Any:
    """Return the schema without titles and without `null` for optional keys, which only lengthen editors' hints."""
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "properties" in value:
        value = value | {"properties": {name: _entry(entry) for name, entry in value["properties"].items()}}
    return {key: _tidied(item) for key, item in value.items() if key != "title" or not isinstance(item, str)}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    branches = [branch for branch in entry.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) != 1 or len(entry["anyOf"]) != 2:
        return entry
    only: dict[str, Any] = branches[0]
    return {key: item for key, item in entry.items() if key not in ("anyOf", "default")} | only


def main(folder: Path) -> None:
    """Write study.schema.json and study.md into a folder."""
    write_text(folder / "study.schema.json", schema_text())
    write_text(folder / "study.md", reference())


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m liftgate.study.schema FOLDER (that is there, such as docs)")
    main(Path(sys.argv[1]))
