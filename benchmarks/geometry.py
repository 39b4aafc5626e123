"""How often does the geometry probe accuse sound labels, and how often does it name a planted mistake?

    python -P benchmarks/geometry.py [--draws 20000] [--fixtures ../shared/fixtures]

Prints the tables that benchmarks/geometry.txt keeps. `sound`: sets of 12 images and more, drawn from bccd, dice and
coco_cc as stored (half with, half without replacement), each judged. `planted`: every mistake in the whole of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from checks.mistakes import with_mistake  # noqa: E402
from liftgate.checks.probes import label_geometry  # noqa: E402
from liftgate.checks.probes.box_conventions import STORED, TRANSFORMS  # noqa: E402
from liftgate.checks.probes.label_geometry import judge, probe  # noqa: E402
from liftgate.data.core.dataset import Dataset  # noqa: E402
from liftgate.data.formats.read import read  # noqa: E402


def real(fixtures: Path, scratch: Path) -> dict[str, Dataset]:
    keys = {"path": str(fixtures / "dice"), "train": "images/train", "val": "images/test", "names": list("123456")}
    (scratch / "data.yaml").write_text(yaml.safe_dump(keys))
    coco = fixtures / "coco_cc"
    sets = {"bccd": read(fixtures / "bccd"), "dice": read(scratch / "data.yaml")}
    for kind in ("instances", "person_keypoints"):
        for part in ("train", "val"):
            path = coco / "annotations" / f"{kind}_{part}2017.json"
            if path.is_file():
                sets[f"coco {kind} {part}"] = read(path, images=coco / "images")
    return sets


def sound(dataset: Dataset, draws: int) -> str:
    """Answers on data sets drawn from a sound one."""
    scores = np.array(
        [row for row in map(label_geometry.ridge_scores, label_geometry.choose_samples(dataset)) if row is not None]
    )
    if len(scores) < 13:
        return f"{len(scores)} images with boxes to judge by: no answer"
    rng = np.random.default_rng(0)
    answers: Counter[str] = Counter()
    most = -np.inf
    for draw in range(draws):
        rows = rng.choice(len(scores), int(rng.integers(12, len(scores) + 1)), replace=draw % 2 == 0)
        answer, evidence = judge(scores[rows])
        answers[answer] += 1
        most = max(most, evidence[1].gain)
    told = ", ".join(f"{answer} {answers[answer]:,}" for answer in ("fits", "not decidable", "does not fit"))
    return f"{draws:,} drawn from {len(scores)}: {told}; best other transform gains {most:+.1f} standard errors at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--fixtures", type=Path, default=ROOT / ".." / "shared" / "fixtures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = real(args.fixtures.resolve(), Path(scratch))
        print("sound")
        for name, dataset in sets.items():
            print(f"  {name:28}{sound(dataset, args.draws)}", flush=True)
        print("\nplanted (the answer; gain in standard errors of the transform that it names; CPU seconds)")
        for name, dataset in sets.items():
            for mistake in TRANSFORMS:
                begun = time.process_time()
                found = probe(dataset if mistake == STORED else with_mistake(dataset, mistake))
                took = time.process_time() - begun
                if found is None:
                    print(f"  {name:28}{mistake:36}too few images")
                    continue
                best = found.best
                right = "" if mistake == STORED or best.transform == mistake else f", names {best.transform}"
                answer = f"{found.answer}{right if found.answer == 'does not fit' else ''}"
                print(f"  {name:28}{mistake:36}{answer} ({best.gain:+.1f}, {found.n_images} images, {took:.1f} s)")


if __name__ == "__main__":
    main()
