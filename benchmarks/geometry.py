"""How often does the geometry probe accuse sound labels, and how often does it name a planted mistake?

    python -P benchmarks/geometry.py [--resamples 2000] [--plants MISTAKE …] [--fixtures FOLDER] [--tables DIR]

Prints what benchmarks/geometry.txt keeps. `sound`: every sound set of the fixtures as stored, and resamples of its
images (half of them bootstraps, half of them halves), each decided anew. `planted`: the answer to every mistake in the
whole of each set, and to some in every second image: there "not decidable" is right where the mistake is named as that
of a part. A scale is named rightly within 0.025 of its factor.
--tables keeps what the witnesses measured, so that another decision is counted without opening an image.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from checks.mistakes import with_mistake  # noqa: E402
from checks.sound_sets import sound_sets  # noqa: E402
from liftgate.checks.probes.box_conventions import NEXT, PREVIOUS, STORED, scale_factor  # noqa: E402
from liftgate.checks.probes.geometry_evidence import Decision  # noqa: E402
from liftgate.checks.probes.geometry_tables import GeometryTables, measure  # noqa: E402
from liftgate.checks.probes.label_geometry import MIN_SCENES, decide  # noqa: E402
from liftgate.checks.probes.views import choose_views  # noqa: E402
from liftgate.data.core.dataset import Dataset  # noqa: E402

HALVES = {f"half of the images {mistake}": mistake for mistake in ("transposed", "mirrored", "corner-for-centre")}
"""A mistake in the labels of every second image; right: "not decidable", and the mistake named as that of a part"""
SCALES = ("scaled by 0.8", "scaled by 0.9", "scaled by 0.95", "scaled by 1.05", "scaled by 1.1", "scaled by 1.2")
PLANTS = (
    *("transposed", "mirrored", "upside down", "rotated by 90° clockwise", "corner-for-centre", "centre-for-corner"),
    *SCALES,
    NEXT,
    PREVIOUS,
    *HALVES,
)


def planted(dataset: Dataset, mistake: str) -> Dataset:
    """Return the data set with a mistake in all of its labels, or in those of every second image."""
    if mistake == STORED:
        return dataset
    if mistake not in HALVES:
        return with_mistake(dataset, mistake)
    wrong = with_mistake(dataset, HALVES[mistake]).labels.boxes
    boxes = np.where((dataset.labels.image % 2 == 0)[:, None], wrong, dataset.labels.boxes)
    return replace(dataset, labels=replace(dataset.labels, boxes=boxes))


def tables_of(dataset: Dataset, mistake: str, kept: Path | None) -> GeometryTables | None:
    """Return what the witnesses measure, from the kept file where there is one; None: too few scenes."""
    file = None if kept is None else kept / f"{dataset.name}-{mistake}.npz".replace(" ", "_")
    if file is not None and file.is_file():
        with np.load(file) as held:
            return GeometryTables(**held) if len(held["scenes"]) else None
    views = choose_views(planted(dataset, mistake))
    tables = measure(views) if len({view.scene for view in views}) >= MIN_SCENES else None
    if file is not None:
        np.savez_compressed(file, **(asdict(tables) if tables else {"scenes": np.zeros(0)}))
    return tables


def grade(decision: Decision | None, mistake: str) -> str:
    """Return right, wrong name, not decidable or fits."""
    if mistake in HALVES and decision is not None and decision.mixed_with is not None:
        return "right" if decision.mixed_with == HALVES[mistake] else f"wrong name: {decision.mixed_with}"
    if decision is None or decision.answer == "not decidable":
        return "not decidable"
    if decision.answer == "fits":
        return "fits"
    name = decision.best.transform
    if mistake in SCALES and name.startswith("scaled"):
        return "right" if abs(scale_factor(name) - scale_factor(mistake)) < 0.025 else f"wrong name: {name}"
    return "right" if name == mistake else f"wrong name: {name}"


def resampled(tables: GeometryTables, draws: int) -> Counter[str]:
    """Count the answers on bootstraps and halves, in turn."""
    rng = np.random.default_rng(0)
    answers: Counter[str] = Counter()
    for draw in range(draws):
        size = len(tables) if draw % 2 == 0 else len(tables) // 2
        decision = decide(tables.take(rng.choice(len(tables), size, replace=draw % 2 == 0)))
        answers[f"in part {decision.mixed_with}" if decision.mixed_with else decision.answer] += 1
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--fixtures", type=Path, default=ROOT / ".." / "shared" / "fixtures")
    parser.add_argument("--plants", nargs="*", default=PLANTS, metavar="MISTAKE", help="by default all")
    parser.add_argument("--tables", type=Path)
    args = parser.parse_args()
    if args.tables:
        args.tables.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sets = sound_sets(args.fixtures.resolve(), Path(scratch))
        print("sound (images judged, scenes; the answer; answers on resamples)")
        for name, dataset in sets.items():
            begun = time.process_time()
            tables = tables_of(dataset, STORED, args.tables)
            if tables is None:
                print(f"  {name:18}too few scenes: no answer", flush=True)
                continue
            decision = decide(tables)
            took = f", {time.process_time() - begun:.1f} s" if args.tables is None else ""
            counts = resampled(tables, args.resamples)
            kinds = dict.fromkeys(("fits", "not decidable", "does not fit", *sorted(counts)))
            counted = ", ".join(f"{one} {counts[one]:,}" for one in kinds)
            print(f"  {name:18}{len(tables)}, {decision.n_scenes}{took}; {decision.answer}; {counted}", flush=True)
        print("\nplanted, over the sets: right, wrong name, not decidable, fits; below each what is not right")
        for mistake in args.plants:
            graded = {}
            for name, dataset in sets.items():
                tables = tables_of(dataset, mistake, args.tables)
                graded[name] = grade(None if tables is None else decide(tables), mistake)
            counts = Counter(one.partition(":")[0] for one in graded.values())
            kinds = ("right", "wrong name", "not decidable", "fits")
            print(f"  {mistake:34}{' '.join(f'{counts[kind]:3}' for kind in kinds)}")
            for name, one in graded.items():
                if one != "right":
                    print(f"      {name:18}{one}", flush=True)


if __name__ == "__main__":
    main()
