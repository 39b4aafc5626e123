"""The public face: one table of names, `str` or `Path` for every path, mistakes refused before data are read."""

from __future__ import annotations

import ast
import inspect
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_overloads

import pytest

import liftgate
from liftgate import api, data
from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import read_predictions
from liftgate.data.formats.read import read
from liftgate.errors import UsageError
from liftgate.testing.backends import write_tree

PRICES = "machines:\n  - {name: here, region: EU, usd_per_hour: 1.0}\n"
TRUTH = (
    '{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}, '
    '{"id": 2, "file_name": "b.jpg", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "x"}],'
    ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25}]}'
)
RESULTS = '[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.9}]'
CSV = "epoch,train/box_loss,metrics/mAP50(B),metrics/mAP50-95(B)\n" + "".join(
    f"{n},{3 / n},{0.1 * n},{0.05 * n}\n" for n in range(1, 9)
)
STUDY = """
study: tiny
question: Is it good enough as it is?
backend: toy
datasets: {bench: {path: truth.json}}
arms: {as_is: {weights: toy.json}}
gates: {enough: {arm: as_is, on: bench, claims: [{metric: recall, at_least: 0.5}]}}
flow: [check, enough]
"""


@pytest.mark.parametrize(
    ("module", "table"), [(api, api.VERBS | api.TYPES), (data, data.FUNCTIONS)], ids=["liftgate", "liftgate.data"]
)
def test_the_imports_for_type_checkers_are_those_of_the_table(module: ModuleType, table: dict[str, str]) -> None:
    tree = ast.parse(inspect.getsource(module))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        for alias in line.names:
            home = f"{line.module}" if alias.name == alias.asname else f"{line.module}:{alias.name}"
            imported[alias.asname] = home
    assert imported == table
    assert module.__all__ == sorted(imported)


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_name_is_what_the_table_says_and_can_be_pickled(name: str) -> None:
    found = getattr(liftgate, name)
    assert inspect.isfunction(found) if name in api.VERBS else inspect.isclass(found)
    assert getattr(api, name) is found
    assert pickle.loads(pickle.dumps(found)) is found
    assert inspect.getdoc(found)


@pytest.mark.parametrize("name", data.FUNCTIONS)
def test_every_function_of_the_data_room_is_what_the_table_says(name: str) -> None:
    found = getattr(liftgate.data, name)
    assert inspect.isfunction(found) and pickle.loads(pickle.dumps(found)) is found
    assert not (Path(data.__file__).parent / name).exists(), "Python would bind the module of that name"


@pytest.mark.parametrize("function", [*map(api.__getattr__, api.VERBS), *map(data.__getattr__, data.FUNCTIONS)])
def test_every_path_parameter_takes_str_and_path(function: Callable[..., Any]) -> None:
    # What may be a file or a folder says so in its type: `Path` alone would refuse what most people write.
    for parameter in inspect.signature(function).parameters.values():
        note = str(parameter.annotation)
        if re.search(r"\bPath\b", note):
            assert re.search(r"\bstr\b", note), f"{function.__name__}({parameter.name}: {note})"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "truth.json": TRUTH, "found.json": RESULTS, "results.csv": CSV, "study.yaml": STUDY, "prices.yaml": PRICES,
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    (tmp_path / "runs/tiny").mkdir(parents=True)
    (tmp_path / "runs/tiny/now.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("kind", [str, Path])
def test_every_verb_takes_its_paths_as_str_or_path(folder: Path, kind: Callable[[Path], Any]) -> None:
    def at(name: str) -> Any:
        return kind(folder / name)

    truth, found, study = at("truth.json"), at("found.json"), at("study.yaml")
    assert liftgate.evaluate(truth, found).metrics["mAP50"] > 0.99
    assert liftgate.compare(truth, found, found, metric="recall").delta.estimate == 0
    assert liftgate.compare_arms(truth, found, {"new": found}, metric="recall").treatments["new"].delta.estimate == 0
    with pytest.raises(UsageError, match="interval"):
        liftgate.size_models(truth, found, found, 0.1)
    assert liftgate.check(truth, images=at("."), page=at("page.html")).datasets == ("truth",)
    assert liftgate.doctor(at("results.csv")).epochs == 8
    assert liftgate.init(at("made"), "measure-first", data=truth).is_file()
    assert (
        [one.study for one in liftgate.status(study)] == [one.study for one in liftgate.status([at(".")])] == ["tiny"]
    )
    assert list(liftgate.logs(study)) == []
    with pytest.raises(UsageError, match="not running"):
        liftgate.stop(study)
    for call in (liftgate.plan, liftgate.run, liftgate.report, lambda one: liftgate.cost(one, at("prices.yaml"))):
        with pytest.raises(UsageError):  # the weights are missing, or it never ran: it was read, and did not crash
            call(study)
    with pytest.raises(UsageError, match=re.escape("no such study")):
        liftgate.detach(at("nowhere.yaml"))
    with pytest.raises(UsageError, match="mapping"):
        liftgate.ask(truth, "http://127.0.0.1:9", at("nowhere.yaml"), at("out.json"))


@pytest.mark.parametrize("kind", [str, Path])
def test_every_function_of_the_data_room_takes_its_paths_as_str_or_path(
    tmp_path: Path, kind: Callable[[Path], Any]
) -> None:
    def at(name: str) -> Any:
        return kind(tmp_path / name)

    source = kind(write_tree(tmp_path / "tree"))
    assert liftgate.data.read(source).splits == ("train", "val", "test")
    assert liftgate.data.split(source, at("frozen")).splits
    assert liftgate.data.convert(source, "coco", at("coco")).n_images == 28
    other = kind(write_tree(tmp_path / "other", train=4, held_out=2))
    assert liftgate.data.merge([source, other]).classes
    mixed = liftgate.data.mix([f"tree={source}", f"b={other}"], at("mixed"), held_out="tree", accept=["same_image"])
    assert sum(mixed.training_entries.values()) == 20
    assert liftgate.data.sample(at("tree/images"), at("next.csv")).chosen
    (pair,) = liftgate.data.agree([source, source])
    assert pair.found.kappa.estimate == 1
    assert len(liftgate.data.frames(at("tree/images"), at("frames")).frames) == 28


def test_truth_and_predictions_may_be_in_memory(folder: Path) -> None:
    truth: Dataset = read(folder / "truth.json")
    found = read_predictions(folder / "found.json", truth)
    assert liftgate.evaluate(truth, found).metrics == liftgate.evaluate(folder / "truth.json", found).metrics
    assert liftgate.compare(truth, found, found, metric="recall").delta.estimate == 0
    assert liftgate.compare_arms(truth, found, {"new": found}, metric="recall").treatments["new"].control == 1
    assert liftgate.check(truth).datasets == (truth.name,)


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: liftgate.evaluate("nowhere", "nowhere", grups="folder"), "groups"),  # type: ignore[call-arg]
        (lambda: liftgate.compare("nowhere", "a", "b", metirc="recall"), "metric"),  # type: ignore[call-arg]
        (lambda: liftgate.compare("nowhere", "a", "b", metric="recal"), "recall"),
        (lambda: liftgate.compare_arms("nowhere", "a", {"b": "b"}, metric="mAP_smal"), "mAP_small"),
        (lambda: liftgate.compare("nowhere", "a", "b", claim="eqal"), "equal"),  # type: ignore[arg-type]
        (lambda: liftgate.compare("nowhere", "a", "b", rule="pont"), "point"),  # type: ignore[arg-type]
        (lambda: liftgate.check("nowhere", select=["labels.zero_aera"]), "labels.zero_area"),
        (lambda: liftgate.data.split("nowhere", "out", group="folder"), "groups"),  # type: ignore[call-arg]
        (lambda: liftgate.run("nowhere", override={}), "overrides"),  # type: ignore[call-arg]
        (lambda: liftgate.init("nowhere", "measure_first"), "measure-first"),
        (lambda: liftgate.size("rats", 0.9, 0.95), "rate"),
    ],
)
def test_a_mistake_is_refused_before_data_are_read(call: Callable[[], Any], near: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"did you mean {near}?")):
        call()


@pytest.mark.parametrize("claim", ["rate", "difference", "kappa", "seeds", "models"])
def test_size_takes_what_the_function_of_its_claim_takes(claim: str) -> None:
    taken = list(inspect.signature(getattr(liftgate, f"size_{claim}")).parameters.values())
    declared = [
        list(signature.parameters.values())[1:]
        for signature in map(inspect.signature, get_overloads(liftgate.size))
        if f"'{claim}'" in signature.parameters["claim"].annotation.replace('"', "'")
    ]
    assert len(declared) == 1

    def fixed(values: list[inspect.Parameter]) -> list[tuple[object, object]]:
        return [(one.annotation, one.default) for one in values if one.kind is not inspect.Parameter.KEYWORD_ONLY]

    def named(values: list[inspect.Parameter]) -> dict[str, tuple[object, object]]:
        rows = (one for one in values if one.kind is inspect.Parameter.KEYWORD_ONLY)
        return {one.name: (one.annotation, one.default) for one in rows}

    assert (fixed(declared[0]), named(declared[0])) == (fixed(taken), named(taken))


SCRIPT = """
from pathlib import Path

import liftgate
from liftgate import Comparison, Dataset, Evaluation, Finding, Interval, RunResult


def judge(truth: Path, old: str, new: str) -> str:
    result: Comparison = liftgate.compare(truth, old, new, metric="mAP50", margin=0.01)
    delta: Interval = result.delta
    metrics: float | None = liftgate.evaluate(str(truth), new).metrics["mAP50"]
    found: tuple[Finding, ...] = liftgate.check("data.yaml").findings
    data: Dataset = liftgate.data.read("data.yaml")
    ran: RunResult = liftgate.run("study.yaml")
    states = [one.state for one in liftgate.status("study.yaml")]
    need: int | None = liftgate.size_rate(0.95, 0.98).images
    wrong: str = liftgate.size_rate(0.95, 0.98)
    liftgate.compare(truth, old, new, metirc="mAP50")
    need = liftgate.size("models", truth, old, new, 0.02, groups="folder").images
    need = liftgate.size("models", truth, old, new, 0.02, gruops="folder").images
    return f"{result.verdict} {delta.low} {metrics} {len(found)} {data.name} {ran.exit_code} {states} {need} {wrong}"
"""


def test_a_callers_script_is_type_checked(tmp_path: Path) -> None:
    # Its three mistakes are found and nothing else: the lazy table hides no type.
    (tmp_path / "script.py").write_text(SCRIPT)
    root = Path(__file__).resolve().parents[1]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(root / ".mypy_cache"),
        "script.py",
    ]
    env = {**os.environ, "MYPYPATH": str(root / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    errors = [line.partition("error: ")[2] for line in done.stdout.splitlines() if "error: " in line]
    assert len(errors) == 4, done.stdout + done.stderr  # a wrong word fits no overload either
    assert "Incompatible types in assignment" in errors[0] and "metirc" in errors[1] and "gruops" in errors[2]
