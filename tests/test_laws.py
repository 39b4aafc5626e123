"""The laws of the house that no linter keeps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import liftgate

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "torch", "ultralytics", "scipy", "numba", "pydantic", "yaml", "PIL", "rich", "jinja2", "sqlite3")


def python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **env}
    )
    return done.stdout


def test_the_public_names_are_these() -> None:
    verbs = """add_export add_model ask bench board check compare compare_arms compare_judgements compare_sample
    cost detach doctor draw_sample drift evaluate evaluate_api evaluate_sample explain export init
    judge list_models logs mend_mistakes mirror_models months plan predict predict_api prepare promote
    prove_exports read_marks report review_mistakes reviewed_mistakes rollback run serve
    shadow_report shadow_start shadow_status shadow_stop show_model sign_model size size_difference
    size_kappa size_models size_rate size_seeds status stop verify_models watch worth"""
    types = """ApiAccess ApiPredictions BenchResult CheckResult Client Comparison Comparisons Costs Dataset
    Detached Diagnosis DrawnJudgements DriftFinding Evaluation ExportProofs ExportResult Finding
    FrameDraw Interval JudgedComparison JudgementPlan LiftgateError MarkedRate MirrorResult
    ModelVersion Plan Planned PredictionResult Predictions Preparation ProductionTest Promotion
    RegistryCheck Review ReviewedKind RunResult ServedPredictions ShadowResult SizeAnswer Status
    UsageError Verdict WatchResult WatchSettings Worth"""
    assert sorted(liftgate.__all__) == sorted(["__version__", "data", *verbs.split(), *types.split()])


def test_no_room_has_the_name_of_a_verb() -> None:
    # Python binds a room to its parent when it is first imported: `liftgate.report` would be a module from then on.
    rooms = {path.stem for path in (ROOT / "src/liftgate").iterdir()}
    assert not rooms & (set(liftgate.__all__) - {"data"})  # which is a room


def test_importing_liftgate_loads_nothing_heavy() -> None:
    loaded = python(f"import sys, liftgate; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom liftgate.cli import main\nassert main(['--help']) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_the_table_of_public_names_loads_nothing_heavy() -> None:
    code = f"import sys, liftgate.api, liftgate.data\nprint([name for name in {HEAVY} if name in sys.modules])"
    assert python(code).strip() == "[]"


@pytest.mark.parametrize("verb", ["run", "plan", "cost", "check", "doctor", "explain"])
def test_a_verb_loads_neither_scipy_nor_pydantic_before_it_works(verb: str) -> None:
    heavy = [name for name in HEAVY if name not in ("numpy", "yaml", "sqlite3", "PIL")]
    code = f"import sys\nfrom liftgate.api import {verb}\nprint([name for name in {heavy} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_the_status_of_a_study_is_told_without_what_trains_or_renders(tmp_path: Path) -> None:
    # Reading a whole study takes pydantic, which is most of what this command cost.
    study = tmp_path / "study.yaml"
    study.write_text("study: tiny\n")
    heavy = [name for name in HEAVY if name not in ("yaml", "sqlite3")]
    code = (
        f"import sys\nfrom liftgate.cli import main\nassert main(['status', {str(study)!r}]) == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_measuring_files_loads_neither_scipy_nor_pillow(tmp_path: Path) -> None:
    # A third of the time of a whole `liftgate evaluate` went into importing what it hardly used.
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    truth.write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "x"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25}]}'
    )
    found.write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.9}]')
    code = f"""
import sys, liftgate
assert liftgate.evaluate({str(truth)!r}, {str(found)!r}).metrics["mAP50"] > 0.99
assert liftgate.compare({str(truth)!r}, {str(found)!r}, {str(found)!r}).delta.estimate == 0
print([name for name in ("scipy", "PIL", "numpy.f2py", "numpy.testing") if name in sys.modules])"""
    python(code)  # the first run after a change of the kernels compiles them, and numba imports scipy
    assert python(code).strip() == "[]"


def test_importing_liftgate_opens_no_file_socket_or_process() -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)))
import liftgate
opened = [args[0] for event, args in seen if event == "open" and not str(args[0]).endswith((".py", ".pyc"))]
print([*opened, *[event for event, _ in seen if event.startswith(("socket", "subprocess", "os.mkdir", "os.putenv"))]])
"""
    assert python(code).strip() == "[]"


def _importing(package: str) -> list[str]:
    pattern = rf"^\s*(import|from) {package}\b"
    return [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "src").rglob("*.py"))
        if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


@pytest.mark.parametrize("trainer", ["ultralytics", "libreyolo"])
def test_only_its_own_folder_imports_a_trainer_and_only_those_import_torch(trainer: str) -> None:
    home = "src/liftgate/backends/"
    assert _importing(trainer)
    assert all(path.startswith(f"{home}{trainer}/") for path in _importing(trainer))
    assert all(path.startswith((f"{home}ultralytics/", f"{home}libreyolo/")) for path in _importing("torch"))


@pytest.mark.parametrize(
    "word",
    [
        "utils",
        "helpers",
        "common",
        "manager",
        "misc",
        "words",
        "verbs",
        "places",
        "reading",
        "looks",
        "heard",
        "whole",
        "wish",
        "told",
    ],
)
def test_no_room_is_called_by_a_word_that_says_nothing(word: str) -> None:
    assert not [path for path in (ROOT / "src").rglob("*") if path.stem == word]
