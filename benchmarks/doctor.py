"""Precision and recall of the doctor on public runs that a reader diagnosed, and on trainings that were spoilt.

    python benchmarks/doctor.py [--traces DIR] [--runs] > benchmarks/doctor.txt

Scored as the reader's notes ask: what is certain must be found, what is arguable may be, anything else at warning or
above is a false alarm, and a sound run must have none. Runs of one project are no independent evidence, so each project
counts once in the second table, and the two main thresholds are chosen anew on the other projects for each of them.
Each false alarm and each miss has a line that explains it. Needs the fixtures folder (traces) and the tests' curves.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from liftgate.diagnosis import ending_rules
from liftgate.diagnosis.diagnose import examine
from liftgate.diagnosis.trace import read_trace

ROOT = Path(__file__).resolve().parents[1]
CURVES = ROOT / "tests" / "diagnosis" / "curves"
EXPLAINED: dict[tuple[str, str], str] = {}
"""(run, id) → why it is missed or wrongly found; empty: there is none on these runs"""


class Run(NamedTuple):
    """A run, what a reader is certain of, what is arguable, and what the doctor found at warning or above."""

    name: str
    project: str
    certain: frozenset[str]
    arguable: frozenset[str]
    sound: bool
    found: frozenset[str]
    notes: frozenset[str]
    """Found at info"""

    @property
    def false(self) -> frozenset[str]:
        return self.found if self.sound else self.found - self.certain - self.arguable

    @property
    def missed(self) -> frozenset[str]:
        return self.certain - self.found - self.notes

    @property
    def silent(self) -> bool:
        return bool(self.certain) and not self.found and not self.notes


class Score(NamedTuple):
    certain: int
    found: int
    false: int
    arguable: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.certain if self.certain else 1.0


def score(runs: Iterable[Run]) -> Score:
    runs = list(runs)
    certain, false = sum(len(run.certain) for run in runs), sum(len(run.false) for run in runs)
    found = sum(len(run.certain) - len(run.missed) for run in runs)
    return Score(certain, found, false, sum(len((run.found & run.arguable) - run.certain) for run in runs))


def examined(folder: Path) -> tuple[frozenset[str], frozenset[str]]:
    findings = examine(read_trace(folder)).findings
    return tuple(frozenset(one.id for one in findings if (one.severity == "info") is info) for info in (False, True))  # type: ignore[return-value]


def public(traces: Path) -> list[Run]:
    runs = []
    for row in json.loads((traces / "labels.json").read_text(encoding="utf-8")):
        certain, arguable = frozenset(row["certain"]), frozenset(row["arguable"])
        found, notes = examined(traces / row["run"])
        sound = certain == {"sound"}
        runs.append(Run(row["run"], row["project"], certain - {"sound"}, arguable, sound, found, notes))
    return runs


def planted() -> Iterator[Run]:
    sys.path.insert(0, str(ROOT / "tests"))
    from diagnosis.test_curves import SOUND, SPOILT

    for name in SOUND:
        found, notes = examined(CURVES / name)
        yield Run(name, name, frozenset(), frozenset(), True, found, notes)
    for name, (ids, _) in SPOILT.items():
        found, notes = examined(CURVES / name)
        yield Run(name, name, frozenset(ids), frozenset(), False, found, notes)


def per_id(runs: list[Run]) -> Iterator[str]:
    yield "| id | certain | found | false alarms | arguable, found |"
    yield "|---|---|---|---|---|"
    for id_ in sorted({one for run in runs for one in run.certain | run.found}):
        certain = [run for run in runs if id_ in run.certain]
        found = sum(id_ not in run.missed for run in certain)
        false = sum(id_ in run.false for run in runs)
        arguable = sum(id_ in run.found and id_ in run.arguable - run.certain for run in runs)
        yield f"| {id_} | {len(certain)} | {found} | {false} | {arguable} |"


def per_project(runs: list[Run]) -> Iterator[str]:
    """Each project counts once: it is right if nothing in it is missed and nothing is a false alarm."""
    projects = sorted({run.project for run in runs})
    faulty = [name for name in projects if any(run.certain for run in runs if run.project == name)]
    missed = [name for name in faulty if any(run.missed for run in runs if run.project == name)]
    alarmed = [name for name in projects if any(run.false for run in runs if run.project == name)]
    yield f"{len(projects)} projects, {len(faulty)} with a certain fault, all found in {len(faulty) - len(missed)}."
    yield f"A false alarm in {len(alarmed)}."


def left_out(traces: Path) -> Iterator[str]:
    """Choose the thresholds on all projects but one, and score that one: are they fitted to these runs?"""
    grid = list(product((0.06, 0.08, 0.1, 0.12, 0.15), (0.85, 0.9, 0.95)))
    before = ending_rules.MIN_GAIN, ending_rules.NEARLY_SATURATED
    scored = {}
    for setting in grid:
        ending_rules.MIN_GAIN, ending_rules.NEARLY_SATURATED = setting  # type: ignore[misc]
        scored[setting] = public(traces)
    ending_rules.MIN_GAIN, ending_rules.NEARLY_SATURATED = before  # type: ignore[misc]
    kept: list[Run] = []
    for project in sorted({run.project for run in scored[before]}):

        def others(setting: tuple[float, float], project: str = project) -> tuple[float, float]:
            result = score(run for run in scored[setting] if run.project != project)
            return min(result.precision, 0.9) + min(result.recall, 0.7), result.precision + result.recall

        best = max(grid, key=others)
        kept += [run for run in scored[best] if run.project == project]
    result = score(kept)
    yield "Thresholds chosen without the project that is scored:"
    yield f"precision {result.precision:.2f}, recall {result.recall:.2f}."
    worst = min(grid, key=lambda setting: score(scored[setting]).precision + score(scored[setting]).recall)
    low = score(scored[worst])
    yield f"The worst of {len(grid)} settings (a rise of {worst[0]:.0%}, mAP50 under {worst[1]}):"
    yield f"precision {low.precision:.2f}, recall {low.recall:.2f}."


def explain(runs: list[Run]) -> Iterator[str]:
    for run in runs:
        for kind, ids in (("false alarm", run.false), ("missed", run.missed)):
            for id_ in sorted(ids):
                yield f"- {run.name}, {kind} {id_}: {EXPLAINED.get((run.name, id_), 'NOT EXPLAINED')}"
        if run.silent:
            yield f"- {run.name}: a certain fault, and not a word"


def report(title: str, runs: list[Run]) -> Iterator[str]:
    total, sound = score(runs), [run for run in runs if run.sound]
    yield f"## {title}: {len(runs)} runs, {total.certain} certain faults, {len(sound)} sound runs\n"
    warned, silent = sum(bool(run.found) for run in sound), sum(run.silent for run in runs)
    yield f"Precision {total.precision:.2f}, recall {total.recall:.2f}. Arguable findings: {total.arguable}."
    yield f"Sound runs with a warning: {warned}. Runs with a certain fault and no finding: {silent}.\n"
    yield from per_id(runs)
    yield ""
    yield from explain(runs) if any(run.false or run.missed for run in runs) else ("No false alarm and no miss.",)
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    fixtures = Path(os.environ.get("LIFTGATE_FIXTURES", ROOT.parent / "shared" / "fixtures"))
    parser.add_argument("--traces", type=Path, default=fixtures / "traces")
    parser.add_argument("--runs", action="store_true", help="a line for each run")
    args = parser.parse_args()
    runs = public(args.traces)
    print(*report("Public runs", runs), sep="\n")
    print(*per_project(runs), *left_out(args.traces), "", sep="\n")
    print(*report("Real trainings of the tests", list(planted())), sep="\n")
    if args.runs:
        for run in runs:
            print(run.name, *sorted(run.found), *(f"({one})" for one in sorted(run.notes)))


if __name__ == "__main__":
    main()
