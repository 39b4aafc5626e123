"""How fast is the data room? Beside other programs, alternating, in one run.

    python benchmarks/data.py frames --videos DIR [--minutes 20] [--repeat 3]
    python benchmarks/data.py convert [--boxes 36000 1000000] [--repeat 3] [--into /dev/shm]

Ratios of medians are what counts: absolute times depend on the machine and on who else is using it. Processor seconds
stand beside the wall clock, because on a busy machine they are the fairer measure.

frames   `liftgate data frames` against `ffmpeg -vf fps=…` (quality 2), whole processes, on long videos: each video of
         DIR repeated to --minutes without encoding anew, so its key frames stay where they are
convert  `liftgate data convert` of generated COCO instances into every format, whole processes with their start, beside
         what others need to do a part of it: `json.load` alone, pycocotools' COCO(file), and Ultralytics' convert_coco
         (labels only, no links, no check of the images); what is not installed is left out
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EVERY = (30, 5, 1)


class Cost(NamedTuple):
    wall: float
    cpu: float
    n_frames: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("frames")
    part.add_argument("--videos", type=Path, required=True)
    part.add_argument("--minutes", type=float, default=20)
    part.add_argument("--repeat", type=int, default=3)
    part.set_defaults(run=lambda args: frames(args.videos, args.minutes, args.repeat))
    part = parts.add_parser("convert")
    part.add_argument("--boxes", type=int, nargs="+", default=[36_000, 1_000_000])
    part.add_argument("--repeat", type=int, default=3)
    part.add_argument("--into", type=Path, help="where to write: in memory, the disk's own pace is left out")
    part.set_defaults(run=lambda args: convert(args.boxes, args.repeat, args.into))
    args = parser.parse_args()
    return int(args.run(args))


def frames(videos: Path, minutes: float, repeat: int) -> int:
    """Print seconds and ratios for every video and step."""
    if shutil.which("ffmpeg") is None:
        print("skipped: there is no ffmpeg to compare with")
        return 0
    print(f"{minutes:g} min each, {os.cpu_count()} cores, median of {repeat}; ratio: ffmpeg / liftgate")
    head = ("every", "frames", "liftgate", "cpu", "ffmpeg", "cpu", "ratio", "cpu")
    print(f"{'video':<30}" + "".join(f"{word:>10}" for word in head))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for video in sorted(videos.glob("*.mp4")):
            long = repeated(video, folder / f"long-{video.name}", minutes * 60)
            for every in EVERY:
                ours, theirs = [], []
                for _ in range(repeat):
                    ours.append(timed(_liftgate(long, every, folder / "ours"), folder / "ours"))
                    theirs.append(timed(_ffmpeg(long, every, folder / "theirs"), folder / "theirs"))
                a, b = _median(ours), _median(theirs)
                cells = [f"{every} s", f"{a.n_frames:g}", *(f"{value:.2f} s" for value in (*a[:2], *b[:2]))]
                cells += [f"{b.wall / a.wall:.2f}", f"{b.cpu / a.cpu:.2f}"]
                print(f"{video.stem:<30}" + "".join(f"{cell:>10}" for cell in cells), flush=True)
            long.unlink()
    return 0


def repeated(video: Path, target: Path, seconds: float) -> Path:
    """Write `video` end to end until it lasts `seconds`; packets are copied."""
    import av

    with av.open(str(video)) as probe:
        count = max(1, round(seconds / (float(probe.duration or 1) / 1e6)))
    listing = target.with_suffix(".txt")
    listing.write_text(f"file '{video.resolve()}'\n" * count)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", "-an", target],
        check=True,
    )
    return target


def timed(command: list[str], out: Path) -> Cost:
    """Run a command into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu, len(list(out.glob("*.jpg"))))


def _liftgate(video: Path, every: int, out: Path) -> list[str]:
    program = str(Path(sys.executable).with_name("liftgate"))
    return [program, "data", "frames", str(video), "--out", str(out), "--every", str(every)]


def _ffmpeg(video: Path, every: int, out: Path) -> list[str]:
    return ["ffmpeg", "-v", "error", "-i", str(video), "-vf", f"fps=1/{every}", "-q:v", "2", str(out / "%06d.jpg")]


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))  # type: ignore[arg-type]


class Child(NamedTuple):
    wall: float
    cpu: float
    megabytes: float
    """Most memory that it held"""


OTHERS = {
    "json.load": "import json, sys; json.load(open(sys.argv[1]))",
    "pycocotools": "import sys; from pycocotools.coco import COCO; COCO(sys.argv[1])",
    "ultralytics": "import pathlib, sys; from ultralytics.data.converter import convert_coco; "
    "convert_coco(str(pathlib.Path(sys.argv[1]).parent), sys.argv[2], use_segments=False, cls91to80=False)",
}


def convert(sizes: Sequence[int], repeat: int, into: Path | None) -> int:
    """Print seconds, memory and ratios for every size and format; 1 where a limit of the promise is broken."""
    limits = {36_000: 2.0, 1_000_000: 60.0}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {repeat}; ratio: other / liftgate to yolo")
    print(f"{'boxes':>10}{'images':>9}  {'work':<18}{'wall':>9}{'cpu':>9}{'memory':>10}{'ratio':>8}{'cpu':>8}")
    broken = False
    for n_boxes in sizes:
        with tempfile.TemporaryDirectory(dir=into) as name:
            folder = Path(name)
            n_images = max(1, min(20_000, n_boxes * 5_000 // 36_781))
            source = generated(folder / "coco", n_images, n_boxes)
            work = {
                f"liftgate to {to}": [sys.executable, "-m", "liftgate", "data", "convert", source, "--to", to, "--out"]
                for to in ("yolo", "coco", "voc", "cvat")
            }
            work |= {other: [sys.executable, "-c", code, source] for other, code in OTHERS.items()}
            seen: dict[str, list[Child]] = {label: [] for label in work}
            for _ in range(repeat):  # alternating: whatever else the machine does is shared out
                for label, command in work.items():
                    if (cost := child([*command, folder / "out"], folder)) is not None:
                        seen[label].append(cost)
                    shutil.rmtree(folder / "out", ignore_errors=True)
            ours = _typical(seen["liftgate to yolo"])
            for label, costs in seen.items():
                if not costs:
                    print(f"{'':>19}  {label:<18} did not run: not installed?")
                    continue
                cost = _typical(costs)
                late = label.startswith("liftgate") and cost.wall > limits.get(n_boxes, float("inf"))
                broken |= late
                print(
                    f"{n_boxes:>10,}{n_images:>9,}  {label:<18}{cost.wall:>7.2f} s{cost.cpu:>7.2f} s"
                    f"{cost.megabytes:>7.0f} MB{cost.wall / ours.wall:>8.2f}{cost.cpu / ours.cpu:>8.2f}"
                    f"{f'  over {limits[n_boxes]:g} s' if late else ''}",
                    flush=True,
                )
    return int(broken)


def generated(folder: Path, n_images: int, n_boxes: int) -> Path:
    """Write COCO instances of 80 classes with val2017's outlines (20 corners) and one small picture per image."""
    import io

    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    file = io.BytesIO()
    Image.new("RGB", (640, 480)).save(file, "JPEG", quality=30)
    for number in range(n_images):
        (folder / f"images/{number:012d}.jpg").write_bytes(file.getvalue())
    corner, size = rng.uniform(0, [480, 320], (n_boxes, 2)), rng.uniform(4, 150, (n_boxes, 2))
    owner, cls = np.sort(rng.integers(0, n_images, n_boxes)), rng.integers(1, 81, n_boxes)
    path = folder / "instances_val2017.json"
    with path.open("w") as out:
        images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 640, "height": 480} for n in range(n_images)]
        categories = [{"id": n, "name": f"class {n}"} for n in range(1, 81)]
        out.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [')
        for at in range(n_boxes):
            (x, y), (w, h) = corner[at].round(2).tolist(), size[at].round(2).tolist()
            outline = [
                round(x + w * (k % 5) / 4, 2) if j == 0 else round(y + h * (k % 7) / 6, 2)
                for k in range(20)
                for j in (0, 1)
            ]
            row = {"id": at + 1, "image_id": int(owner[at]), "category_id": int(cls[at]), "bbox": [x, y, w, h],
                   "area": round(w * h, 2), "iscrowd": 0, "segmentation": [outline]}  # fmt: skip
            out.write((", " if at else "") + json.dumps(row))
        out.write("]}")
    return path


def child(command: Sequence[str | Path], folder: Path) -> Child | None:
    """Run a program that may not write anywhere but in `folder`; None where it fails."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    quiet = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(home), "HOME": str(home)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        env=os.environ | quiet,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    return Child(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024) if status == 0 else None


def _typical(costs: Sequence[Child]) -> Child:
    return Child(*(statistics.median(column) for column in zip(*costs, strict=True)))


if __name__ == "__main__":
    raise SystemExit(main())
