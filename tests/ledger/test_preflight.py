"""Preflight gathers what it can and never stops a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liftgate.ledger.preflight import preflight


def test_versions_machine_and_what_the_caller_knows_stand_in_it(tmp_path: Path) -> None:
    facts = preflight(tmp_path, recipe={"epochs": 3}, dataset="f" * 64)
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert (facts["recipe"], facts["dataset"]) == ({"epochs": 3}, "f" * 64)
    assert facts["disk_free_gb"] > 0
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_machine_without_git_and_driver_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = preflight(tmp_path / "gone")
    assert (facts["git"], facts["gpus"], facts["disk_free_gb"]) == (None, [], None)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_uncommitted_files_of_the_study_folder_are_named(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "study.yaml").write_text("study: a\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    before = preflight(tmp_path)["git"]
    (tmp_path / "study.yaml").write_text("study: b\n")
    after = preflight(tmp_path)["git"]
    assert before["uncommitted"] == []
    assert after == {"commit": before["commit"], "uncommitted": ["study.yaml"]}
    assert len(after["commit"]) == 40


def test_torch_is_not_imported_for_it() -> None:
    code = (
        "import sys; from pathlib import Path; from liftgate.ledger.preflight import preflight; preflight(Path('.'));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'ultralytics')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
