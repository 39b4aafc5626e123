"""How fast `check` looks: python -P benchmarks/check.py [--images 2000] [--hashes 1000000]

Prints ratios measured in one run, since seconds depend on who else is on the machine:
  scan / trainer   decoding, hashing and perceptual hashing of every image, against what a trainer does before its first
                   epoch (header and label of each image) plus one cv2.imread per image
  second scan      the same again, from the cache
  pairs            all pairs within 10 of 64 bits among a million hashes, exactly
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from liftgate.checks.near import near_pairs
from liftgate.checks.scan import scan_images
from liftgate.data.reading import read

SIDE = 640


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


def trainer(root: Path) -> float:
    """What a trainer spends before its first epoch: open and verify each image, parse its label, and one decode."""
    import cv2

    cv2.setNumThreads(1)
    begun = time.perf_counter()
    for path in sorted((root / "images").iterdir()):
        with Image.open(path) as image:
            image.verify()
        label = root / "labels" / f"{path.stem}.txt"
        np.array([row.split() for row in label.read_text().splitlines()], dtype=np.float32)
        cv2.imread(str(path))
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        build(root, args.images)
        trainer(root)  # the files are in memory for both
        cpu = time.process_time()
        theirs = trainer(root)
        their_cpu, cpu = time.process_time() - cpu, time.process_time()
        begun = time.perf_counter()
        dataset = read(root / "data.yaml")
        scan_images(dataset)
        ours, our_cpu = time.perf_counter() - begun, time.process_time() - cpu
        begun = time.perf_counter()
        scan_images(dataset)
        again = time.perf_counter() - begun
    print(f"{args.images} images of {SIDE} px: trainer {theirs:.1f} s, scan {ours:.1f} s, again {again:.2f} s")
    print(
        f"scan / trainer {ours / theirs:.2f} (in CPU seconds {our_cpu / their_cpu:.2f}), "
        f"second scan / first {again / ours:.3f}"
    )

    hashes = np.random.default_rng(1).integers(0, 2**64, args.hashes, dtype=np.uint64)
    near = hashes[: args.hashes // 100] ^ np.uint64(0b1011)  # one in a hundred has a neighbour 3 bits away
    hashes[-len(near) :] = near
    near_pairs(hashes[:10_000])  # compile
    begun = time.perf_counter()
    pairs = near_pairs(hashes)
    took = time.perf_counter() - begun
    print(f"{len(hashes):,} hashes: {len(pairs):,} pairs within 10 bits in {took:.1f} s ({os.cpu_count()} cores)")
    assert len(pairs) >= len(near)


if __name__ == "__main__":
    main()
