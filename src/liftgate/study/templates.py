"""Write studies to edit from templates, for `liftgate init`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from liftgate.errors import UsageError
from liftgate.files import write_text
from liftgate.suggestions import did_you_mean

TEMPLATES = {
    "measure-first": "Is the model good enough as it is? Train only if a gate fails, and then show that it helped.",
    "two-stage": "Does pre-training on a large related set beat training on one's own data alone?",
    "runbook": "One person, months of fine-tuning: smoke test, short baselines, one change at a time.",
    "improve": "A model that is stuck: recipe, then data, then a smaller model, each if the one before did not help.",
    "kill-switch": "Does synthetic data lift the real model, or does the control explain it?",
    "monthly": "A model in production: label what it doubts, retrain, promote what holds on both tests, each month.",
}
MORE_DATA = {"two-stage": "big/data.yaml", "improve": "second/data.yaml", "kill-switch": "synthetic/data.yaml",
             "monthly": "labelled/data.yaml"}  # fmt: skip
"""Placeholder of the second data set's path; measure-first needs none."""


@dataclass(frozen=True)
class TemplateInputs:
    """Values that a template needs. Paths are relative to the working directory, or absolute."""

    data: Path | None = None
    more_data: Path | None = None
    """measure-first: frames to train on; two-stage: the set to pre-train on; improve: a second set; kill-switch: the
    synthetic one; monthly: the frames of all months, merged"""
    weights: str = "yolov8n.pt"
    cls: str = "person"
    groups: str | None = None
    by: str | None = None
    """Slices of the report, such as frames.csv#category"""
    held_out: tuple[tuple[str, Path], ...] = ()
    """Further held-out sets, all of them test: name → data (the deployment, winter, this month's random half)"""


def init(
    folder: Path | str,
    template: str,
    *,
    data: Path | str | None = None,
    more_data: Path | str | None = None,
    weights: str = TemplateInputs.weights,
    cls: str = TemplateInputs.cls,
    groups: str | None = None,
    by: str | None = None,
    held_out: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write a study to edit into `folder` and return its study.yaml. The other arguments are those of `TemplateInputs`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     init(Path(folder) / "cones", "measure-first").name
    'study.yaml'

    Raises:
        UsageError: as `write`.
    """
    first, second = (None if place is None else Path(place) for place in (data, more_data))
    further = tuple((name, Path(place)) for name, place in (held_out or {}).items())
    inputs = TemplateInputs(first, second, weights, cls, groups, by, further)
    require_used(template, inputs)
    return write(Path(folder), template, inputs)


def write(folder: Path, template: str, inputs: TemplateInputs) -> Path:
    """Write study.yaml, README.md and study.schema.json from a template, and return the study's path.

    Raises:
        UsageError: no such template, data that is not there, or a file that would be overwritten; nothing is written.
    """
    from liftgate.study.schema import schema_text  # both import pydantic, which `--help` does not need
    from liftgate.study.study_parser import parse

    _known(template)
    for path in (inputs.data, inputs.more_data, *(place for _, place in inputs.held_out)):
        if path is not None and not path.exists():
            raise UsageError("no such data", where=path, hint="leave it out to fill in the path later")
    study = folder / "study.yaml"
    values = _values(folder, template, inputs)
    texts = {
        folder / "README.md": _rendered("README.md.j2", values),
        folder / "study.schema.json": schema_text(),
        study: _rendered(f"{template}/study.yaml.j2", values),
    }
    if folder.exists() and not folder.is_dir():
        raise UsageError("this is a file, not a folder", where=folder)
    # What a killed `init` has written is no obstacle to the next one: the study comes last.
    same = {path for path, text in texts.items() if path.is_file() and path.read_bytes() == text.encode()} - {study}
    if there := [path for path in texts if path.exists() and path not in same]:
        raise UsageError("it exists already, and nothing is overwritten", where=there[0], hint="name another folder")
    parse(texts[study], source=study)  # validate the arguments before anything is written
    for path, text in texts.items():
        write_text(path, text)
    return study


def _known(template: str) -> None:
    if template in TEMPLATES:
        return
    raise UsageError(f"no template `{template}`", expected=", ".join(TEMPLATES), hint=did_you_mean(template, TEMPLATES))


def require_used(template: str, inputs: TemplateInputs) -> None:
    """Refuse an option that the template would ignore.

    Raises:
        UsageError: which option, and which templates use it; no such template.
    """
    _known(template)
    usual = TemplateInputs()
    for name, value, option in (
        ("more_data", inputs.more_data, "--more-data"),
        ("cls", inputs.cls, "--class"),
        ("by", inputs.by, "--by"),
        ("held_out", inputs.held_out, "--held-out"),
    ):
        if value == getattr(usual, name) or _uses(template, name):
            continue
        uses = [one for one in TEMPLATES if _uses(one, name)]
        hint = f"{', '.join(uses)} take it; leave it out"
        got = ", ".join(str(name) for name, _ in value) if isinstance(value, tuple) else value
        raise UsageError(f"the template {template} has no use for {option}", got=got, hint=hint)


def _uses(template: str, name: str) -> bool:
    return re.search(rf"\b{name}(_line)?\b", "".join(re.findall(r"{[{%].*?[}%]}", _source(template)))) is not None


def _source(template: str) -> str:
    place = resources.files("liftgate").joinpath("templates", template, "study.yaml.j2")
    return place.read_text(encoding="utf-8")


def _values(folder: Path, template: str, inputs: TemplateInputs) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name).strip("-.") or template
    groups = "# groups: '^(?P<group>[^_]+)_'   # or folder, a CSV"
    if inputs.groups:
        groups = f"groups: {_yaml(_rule_from(folder, inputs.groups))}"
    by = "# by: frames.csv#category   # the result per slice too"
    if inputs.by:
        by = f"by: {_yaml(_rule_from(folder, inputs.by))}"
    more_default = MORE_DATA.get(template)
    weights = inputs.weights
    if template == "kill-switch" and weights == TemplateInputs().weights:
        weights = "yolov8n-pose.pt"
    return {
        "name": name[:64],
        "about": TEMPLATES[template],
        "placeholder": inputs.data is None,
        "data": "data/data.yaml" if inputs.data is None else _path_from(folder, inputs.data),
        "more_data": more_default if inputs.more_data is None else _path_from(folder, inputs.more_data),
        "weights": _path_from(folder, Path(weights)) if Path(weights).is_file() else weights,
        "cls": inputs.cls,
        "groups_line": groups,
        "by_line": by,
        "held_out": [(name, _path_from(folder, place)) for name, place in inputs.held_out],
    }


def _path_from(folder: Path, path: Path) -> str:
    """Return a path relative to `folder`, as study.yaml there needs it; an absolute one is unchanged."""
    return (
        path.as_posix() if path.is_absolute() else Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    )


def _rule_from(folder: Path, rule: str) -> str:
    """Return a rule for groups or slices as study.yaml in `folder` needs it: a CSV is a path, all others are words."""
    path, sign, column = rule.partition("#")
    return f"{_path_from(folder, Path(path))}{sign}{column}" if Path(path).is_file() else rule


def _rendered(name: str, values: dict[str, Any]) -> str:
    import jinja2

    source = resources.files("liftgate").joinpath("templates", *name.split("/")).read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["yaml"] = _yaml
    return environment.from_string(source).render(values)


def _yaml(value: object) -> str:
    """Return text as YAML: plain if that is safe, else in double quotes.

    >>> _yaml("yolov8n.pt"), _yaml("my data: 1"), _yaml("no")
    ('yolov8n.pt', '"my data: 1"', '"no"')
    """
    text = str(value)
    bare = re.fullmatch(r"[A-Za-z/][A-Za-z0-9_./-]*|\.\.?/[A-Za-z0-9_./-]*", text)
    switch = text.lower() in ("yes", "no", "on", "off", "true", "false", "null")
    return text if bare and not switch else json.dumps(text, ensure_ascii=False)
