"""How fast is the evidence? Liftgate beside hotcoco at the scale of COCO val2017, alternating, in one run.

    python benchmarks/evidence.py [beside] [--repeat 3] [--folder DIR]
    python benchmarks/evidence.py scale [--folder DIR] [--times 21 43]
    python benchmarks/evidence.py read

Made-up data: 5,000 images, 36,618 boxes, 475,526 detections, 80 classes. Ratios of medians are what counts: absolute
times depend on the machine and on who else is using it.

beside: 1. whole process, from two JSON files to the twelve numbers (Liftgate's come with their intervals), beside
           hotcoco's own command, `coco eval --json`, and the shortest script around its Python API
        2. paired difference of two models in AP[.50:.95]: per bootstrap draw, and Liftgate's whole comparison
           (point estimate, 1,000 draws of groups, per class)
scale:  `liftgate evaluate` on as many times the data: 21 times is 105,000 images and 10 million detections (0.95 GB of
        JSON), 43 times a file of 2 GB; seconds and gigabytes, per detection too. Some GB in the folder, for a while.
read:   a results file decoded by msgspec and by the own scanner, each in a process of its own that has its machine code
        on disk: CPU seconds and memory by size of the file. `SCAN_FROM` stands where the scanner begins to win.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FEW = 5  # draws of hotcoco that are timed
IMAGES, BOXES, DETECTIONS, CLASSES, SIDE = 5000, 36_618, 475_526, 80, 640

LIFTGATE = [str(Path(sys.executable).with_name("liftgate")), "evaluate"]
HOTCOCO = """
import contextlib, io, sys
from hotcoco import COCO, COCOeval
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(sys.argv[1])
    run = COCOeval(truth, truth.load_res(sys.argv[2]), "bbox")
    run.evaluate(); run.accumulate(); run.summarize()
print(" ".join(f"{value:.6f}" for value in run.stats))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("what", nargs="?", choices=("beside", "scale", "read"), default="beside")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the made-up data here (scale: but for the large files)")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 21], help="scale: sizes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if args.what == "read":
            reading(Path(temporary), args.repeat)
            return
        files = make(folder)
        print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
        if args.what == "scale":
            scale(files, args.times)
            return
        whole_process(files, args.repeat)
        paired(files, args.repeat)
    print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB, "
          f"this one {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")  # fmt: skip


def whole_process(files: dict[str, Path], repeat: int) -> None:
    truth, results = str(files["truth"]), str(files["a"])
    liftgate = [*LIFTGATE, "--truth", truth, "--predictions", results, "--json"]
    hotcoco = [sys.executable, "-c", HOTCOCO, truth, results]
    command = [str(Path(sys.executable).with_name("coco")), "eval", "--json", "--gt", truth, "--dt", results]
    cold = timed(lambda: output(liftgate))
    ours: list[Time] = []
    theirs: list[Time] = []
    commands: list[Time] = []
    for _ in range(repeat):
        ours.append(timed(lambda: output(liftgate)))
        theirs.append(timed(lambda: output(hotcoco)))
        commands.append(timed(lambda: output(command)))
    mine = list(json.loads(output(liftgate))["metrics"].values())[:12]
    other = [float(word) for word in output(hotcoco).split()]
    difference = max(abs(a - b) for a, b in zip(mine, other, strict=True))
    print(f"\nwhole process, two JSON files → 12 numbers (largest difference {difference:.1e})")
    print(f"  first call (compiles, unless cached)  {spread([cold])}")
    print(f"  liftgate, with intervals              {spread(ours)}")
    print(f"  hotcoco's command, coco eval --json   {spread(commands)}")
    print(f"  hotcoco, the shortest script          {spread(theirs)}")
    print(f"  ratio liftgate / coco eval            {ratio(ours, commands)}")
    print(f"  ratio liftgate / shortest script      {ratio(ours, theirs)}")


def scale(files: dict[str, Path], sizes: list[int]) -> None:
    """Copies of the images, each with its boxes and detections moved a little: no two scores in a row are equal."""
    print(
        f"\n{'images':>8} {'detections':>11} {'JSON':>8} {'wall':>8} {'CPU':>8} {'memory':>8} {'CPU per detection':>18}"
    )
    for times in sizes:
        truth, results = (files[name].with_name(f"large-{name}.json") for name in ("truth", "a"))
        try:
            repeated(files, times, truth, results)
            command = [*LIFTGATE, "--truth", str(truth), "--predictions", str(results), "--json"]
            begun = time.perf_counter()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            wall, cpu = time.perf_counter() - begun, used.ru_utime + used.ru_stime
            assert os.waitstatus_to_exitcode(status) == 0
            size, memory, each = results.stat().st_size / 1e9, used.ru_maxrss / 2**20, cpu / times / DETECTIONS * 1e6
            print(
                f"{times * IMAGES:>8,} {times * DETECTIONS:>11,} {size:>5.2f} GB {wall:>6.1f} s {cpu:>6.1f} s "
                f"{memory:>4.1f} GiB {each:>15.2f} µs",
                flush=True,
            )
        finally:
            truth.unlink(missing_ok=True)
            results.unlink(missing_ok=True)


READ = """
import os, resource, sys
from pathlib import Path
import numpy
from liftgate.data.formats.coco.results import read_results
begun = sum(os.times()[:2])
read_results(Path(sys.argv[1]), scan_from=int(sys.argv[2]))
print(sum(os.times()[:2]) - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""


def reading(folder: Path, repeat: int) -> None:
    """Where the scanner begins to win over msgspec."""
    rng, path = np.random.default_rng(0), folder / "read.json"
    print(f"{'file':>8} {'msgspec':>18} {'scanner':>18}")
    for megabytes in (0.1, 1, 4, 8, 16, 32):
        n = int(megabytes * 2**20 / 109)
        found = rows(rng.integers(0, 5000, n), rng.integers(0, 80, n), rng.random((n, 4)) * 500)
        scores = rng.random(n).round(5).tolist()
        write(path, [row | {"score": score} for row, score in zip(found, scores, strict=True)])
        cells = []
        for scan_from in (1 << 40, 0):
            command = [sys.executable, "-c", READ, str(path), str(scan_from)]
            took = [tuple(map(float, output(command).split())) for _ in range(repeat)]
            cells.append(f"{min(cpu for cpu, _ in took):>7.2f} s {took[0][1]:>5.0f} MB")
        print(f"{path.stat().st_size / 2**20:>5.1f} MB " + " ".join(f"{cell:>18}" for cell in cells), flush=True)


def repeated(files: dict[str, Path], times: int, truth: Path, results: Path) -> None:
    """Write the data set `times` over, a copy at a time."""
    data, found = json.loads(files["truth"].read_bytes()), json.loads(files["a"].read_bytes())
    images, boxes = data["images"], data["annotations"]
    with truth.open("w") as file:
        file.write(f'{{"categories": {json.dumps(data["categories"])}, "images": [')
        for copy in range(times):
            more = [
                row | {"id": row["id"] + copy * IMAGES, "file_name": f"{copy}-{row['file_name']}"} for row in images
            ]
            file.write(", " * bool(copy) + json.dumps(more)[1:-1])
        file.write('], "annotations": [')
        for copy in range(times):
            ids = {"id": copy * BOXES, "image_id": copy * IMAGES}
            more = [row | {key: row[key] + by for key, by in ids.items()} for row in boxes]
            file.write(", " * bool(copy) + json.dumps(more)[1:-1])
        file.write("]}")
    with results.open("w") as file:
        file.write("[")
        for copy in range(times):
            noise = np.random.default_rng(copy).random(DETECTIONS).tolist()
            more = [
                row | {"image_id": row["image_id"] + copy * IMAGES, "score": round(row["score"] * (0.9 + by / 10), 7)}
                for row, by in zip(found, noise, strict=True)
            ]
            file.write(", " * bool(copy) + json.dumps(more)[1:-1])
        file.write("]")


def paired(files: dict[str, Path], repeat: int) -> None:
    import contextlib
    import io

    from hotcoco import COCO, COCOeval
    from hotcoco import compare as hotcoco_compare

    from liftgate.data.formats.coco import read_predictions
    from liftgate.data.formats.read import read
    from liftgate.evaluation.compare import compare
    from liftgate.evaluation.matching import match
    from liftgate.evaluation.metrics import averaged_metrics
    from liftgate.evaluation.resampling import DRAWS, affordable_draws, units
    from liftgate.stats.clustered import bootstrap_weights

    data = read(files["truth"])
    models = [read_predictions(files[name], data) for name in ("a", "b")]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(files["truth"]))
        runs = [COCOeval(truth, truth.load_res(str(files[name])), "bbox") for name in ("a", "b")]
        for run in runs:
            run.evaluate()
    ours: list[Time] = []
    theirs: list[Time] = []
    compare(data, *models)
    tables = [match(data, model) for model in models]
    groups = units(data.groups, affordable_draws(DETECTIONS))
    weights = bootstrap_weights(groups.count, DRAWS, np.random.default_rng(0))
    bare_draws: list[Time] = []
    for _ in range(repeat):
        ours.append(timed(lambda: compare(data, *models)))
        bare_draws.append(timed(lambda: [averaged_metrics(t, ["mAP50-95"], groups.of_image, weights) for t in tables]))
        bare = timed(lambda: hotcoco_compare(*runs, n_bootstrap=0))
        drawn = timed(lambda: hotcoco_compare(*runs, n_bootstrap=FEW))
        theirs.append(Time((drawn.wall - bare.wall) / FEW, (drawn.cpu - bare.cpu) / FEW))
    print("\npaired difference in AP[.50:.95]")
    print(f"  liftgate: matching, point, {DRAWS} draws, interval, per class   {spread(ours)}")
    print(f"  liftgate: {DRAWS} paired draws alone                            {spread(bare_draws)}")
    print(f"  hotcoco, one draw                                            {spread(theirs)}")
    print(f"  ratio per draw: hotcoco / liftgate {ratio(theirs, bare_draws, DRAWS)}")
    print(f"  ratio per draw, everything of ours counted: hotcoco / liftgate {ratio(theirs, ours, DRAWS)}")


def make(folder: Path) -> dict[str, Path]:
    """Truth and two models' results as JSON files; not made again where they lie."""
    files = {name: folder / f"{name}.json" for name in ("truth", "a", "b")}
    folder.mkdir(parents=True, exist_ok=True)
    if all(path.is_file() for path in files.values()):
        return files
    rng = np.random.default_rng(0)
    share = np.arange(1, CLASSES + 1) ** -0.9
    share /= share.sum()
    image, cls = np.sort(rng.integers(0, IMAGES, BOXES)), rng.choice(CLASSES, BOXES, p=share)
    size = np.exp(rng.normal(4, 1, (BOXES, 2))).clip(4, 600)
    corner = rng.random((BOXES, 2)) * (SIDE - size)
    boxes = np.concatenate([corner, size], axis=1)
    crowd = rng.random(BOXES) < 0.01
    write(
        files["truth"],
        {
            "images": [
                {"id": i + 1, "file_name": f"{i:012}.jpg", "width": SIDE, "height": SIDE} for i in range(IMAGES)
            ],
            "categories": [{"id": k + 1, "name": f"class{k}"} for k in range(CLASSES)],
            "annotations": [
                row | {"id": i + 1, "area": round(row["bbox"][2] * row["bbox"][3] * 0.6, 2), "iscrowd": int(crowd[i])}
                for i, row in enumerate(rows(image, cls, boxes))
            ],
        },
    )
    for seed, (name, noise) in enumerate({"a": 0.06, "b": 0.055}.items()):
        write(files[name], detections(np.random.default_rng(seed + 1), image, cls, boxes, share, noise))
    return files


def detections(rng: np.random.Generator, image: Any, cls: Any, boxes: Any, share: Any, noise: float) -> list[Any]:
    """Good, repeated and made-up detections, as a detector at a low threshold leaves them."""
    parts = []
    for repeat, kept in enumerate((0.85, 0.6, 0.6)):
        found = np.flatnonzero(rng.random(BOXES) < kept)
        sides = np.tile(boxes[found, 2:], 2)
        near = boxes[found] + sides * rng.normal(0, noise * (1 + repeat), (len(found), 4))
        parts.append((image[found], cls[found], near, rng.beta(3, 2, len(found)) / (1 + 2 * repeat)))
    rest = DETECTIONS - sum(len(part[0]) for part in parts)
    size = np.exp(rng.normal(4, 1, (rest, 2))).clip(4, 600)
    wrong = np.concatenate([rng.random((rest, 2)) * 500, size], axis=1)
    parts.append((rng.integers(0, IMAGES, rest), rng.choice(CLASSES, rest, p=share), wrong, rng.beta(1, 8, rest)))
    columns = [np.concatenate([part[i] for part in parts]) for i in range(4)]
    columns[2][:, 2:] = columns[2][:, 2:].clip(1)
    order = rng.permutation(DETECTIONS)
    made = rows(columns[0][order], columns[1][order], columns[2][order])
    return [row | {"score": round(float(score), 5)} for row, score in zip(made, columns[3][order], strict=True)]


def rows(image: Any, cls: Any, boxes: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": int(i) + 1, "category_id": int(k) + 1, "bbox": [round(float(v), 2) for v in box]}
        for i, k, box in zip(image, cls, boxes, strict=True)
    ]


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


class Time(NamedTuple):
    wall: float
    cpu: float
    """All threads and children: what counts where others use the machine too"""


def timed(work: Callable[[], object]) -> Time:
    before, begun = os.times(), time.perf_counter()
    work()
    after = os.times()
    return Time(time.perf_counter() - begun, sum(after[:4]) - sum(before[:4]))


def output(command: list[str]) -> str:
    """Run a command as a user does: with modules that are compiled already, as an installation leaves them."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def median(times: list[Time]) -> Time:
    return Time(statistics.median(one.wall for one in times), statistics.median(one.cpu for one in times))


def spread(times: list[Time]) -> str:
    walls = [one.wall for one in times]
    return f"{median(times).wall:6.2f} s ({min(walls):.2f}–{max(walls):.2f}), CPU {median(times).cpu:5.2f} s"


def ratio(ours: list[Time], theirs: list[Time], scale: float = 1.0) -> str:
    first, second = median(ours), median(theirs)
    return f"{first.wall / second.wall * scale:.3g} in wall time, {first.cpu / second.cpu * scale:.3g} in CPU time"


if __name__ == "__main__":
    main()
