"""How fast `check` looks: python -P benchmarks/check.py [--images 2000] [--repeat 3] [--hashes 1000000] [--folder DIR]

Prints ratios measured in one run, since seconds depend on who else is on the machine:
  scan / trainer   decoding, hashing and perceptual hashing of every image, against Ultralytics' own label scan (its
                   function, its thread pool) plus one cv2.imread per image on all cores; ours first from a cold start
  second scan      the same again, from the cache
  third scan       one image in a hundred changed since
  pairs            all pairs within 10 of 64 bits among a million hashes, exactly

--folder keeps the pictures for the next run (20,000 are 2.3 GB and take five minutes to make).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from liftgate.checks.images.near_duplicates import near_pairs
from liftgate.checks.images.scan import scan_images
from liftgate.data.formats.read import read

SIDE = 640


class Time(NamedTuple):
    wall: float
    cpu: float


def build(root: Path, count: int) -> None:
    """Write `count` JPEGs of 640 px that cost as much to decode as photographs, each with a label file."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    base = rng.normal(0, 12, (SIDE, SIDE, 3))
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((SIDE, SIDE))
        picture = np.asarray(coarse, dtype=np.float64) + np.roll(base, number, axis=0)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / f"images/{number:06}.jpg", quality=85)
        (root / f"labels/{number:06}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [thing]\n")


TRAINER = """
import os, sys, time
from multiprocessing.pool import ThreadPool
from pathlib import Path
import cv2
from ultralytics.data.utils import verify_image_label
from ultralytics.utils import NUM_THREADS
cv2.setNumThreads(1)
root = Path(sys.argv[1])
images = sorted(map(str, (root / "images").iterdir()))
jobs = [(path, path.replace("/images/", "/labels/")[:-3] + "txt", "", False, 1, 0, 0, False) for path in images]
for timed in (False, True):
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPool(NUM_THREADS) as pool:
        found = [row for row in pool.imap(verify_image_label, jobs) if row[0]]
    with ThreadPool(os.cpu_count()) as pool:
        for _ in pool.imap(lambda path: cv2.imread(path).shape, images):
            pass
assert len(found) == len(images), found[:1]
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def trainer(root: Path) -> Time:
    """Ultralytics' own scan of the labels, as its dataset does it, and one decode of each image; the second time."""
    home = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(root), "HOME": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", TRAINER, str(root)],
        env={**os.environ, **home},
        check=True,
        capture_output=True,
        text=True,
    )
    return Time(*map(float, done.stdout.split()[-2:]))


def scanned(root: Path) -> Time:
    """Our reading and scan of the same."""
    wall, cpu = time.perf_counter(), time.process_time()
    scan_images(read(root / "data.yaml"))
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = args.folder or Path(scratch) / "pictures"
        if not (root / "data.yaml").exists():
            build(root, args.images)
        for turn in range(args.repeat):
            os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / f"cache{turn}")
            theirs, ours, again = trainer(root), scanned(root), scanned(root)
            touched = sorted((root / "images").iterdir())[::100]
            for image in touched:
                os.utime(image)
            changed = scanned(root)
            print(
                f"{args.images:,} images of {SIDE} px: trainer {theirs.wall:.1f} s ({theirs.cpu:.1f} of CPU), "
                f"scan {ours.wall:.1f} s ({ours.cpu:.1f}), again {again.wall:.2f} s; scan / trainer "
                f"{ours.wall / theirs.wall:.2f} in wall time, {ours.cpu / theirs.cpu:.2f} in CPU time; "
                f"again {again.wall / ours.wall:.3f}, {len(touched)} of them changed {changed.wall / ours.wall:.3f}",
                flush=True,
            )

    hashes = np.random.default_rng(1).integers(0, 2**64, args.hashes, dtype=np.uint64)
    near = hashes[: args.hashes // 100] ^ np.uint64(0b1011)  # one in a hundred has a neighbour 3 bits away
    hashes[-len(near) :] = near
    near_pairs(hashes[:10_000])  # compile
    begun, cpu = time.perf_counter(), time.process_time()
    pairs = near_pairs(hashes)
    took, used = time.perf_counter() - begun, time.process_time() - cpu
    print(
        f"{len(hashes):,} hashes: {len(pairs):,} pairs within 10 bits in {took:.1f} s "
        f"({used:.1f} of CPU, {os.cpu_count()} cores)"
    )
    assert len(pairs) >= len(near)


if __name__ == "__main__":
    main()
