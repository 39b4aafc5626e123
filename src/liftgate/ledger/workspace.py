"""Workspace: the paths of a study's results in `runs/<study>/`, next to study.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liftgate.study.records import Study
from liftgate.study.study_file import study_name, study_path


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of a study's results. Reading a path creates nothing.

    >>> Workspace(Study("cones", "?", "detect", (), (), (), (), source=Path("/data/study.yaml"))).ledger.as_posix()
    '/data/runs/cones/ledger.sqlite'
    """

    study: Study

    @property
    def folder(self) -> Path:
        """`<study folder>/runs/<study name>`; the run folders `<UTC>_<label>/` and REPORT.md lie in it."""
        return self.study.folder / "runs" / self.study.name

    @property
    def ledger(self) -> Path:
        """ledger.sqlite; its head file is next to it."""
        return self.folder / "ledger.sqlite"

    @property
    def predictions(self) -> Path:
        """Folder of predictions files."""
        return self.folder / "predictions"

    @property
    def evaluations(self) -> Path:
        """Folder of full evaluations as JSON: metrics, intervals, classes, images with their groups, curves."""
        return self.folder / "evaluations"

    @property
    def exports(self) -> Path:
        """Folder of exports: one folder for each export step and arm."""
        return self.folder / "exports"

    @property
    def report(self) -> Path:
        """report.html."""
        return self.folder / "report.html"


def results_folder(study_file: Path) -> Path:
    """Return `Workspace.folder` of a study.yaml, or of its folder, without reading more of it than the study's name.

    Raises:
        StudyError: the file cannot be read, or has no name.
    """
    path = study_path(study_file)
    return path.absolute().parent / "runs" / study_name(path)
