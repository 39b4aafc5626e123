"""Options that evaluate, compare and size share: the truth, the metrics and the intervals."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
from pathlib import Path
from typing import Any, TypedDict

from liftgate.cli.output import reason_to_open
from liftgate.errors import UsageError

_M_ARENA_MAX = -8  # of glibc's malloc.h

PREDICTIONS = "COCO results, FiftyOne JSON, CSV of answers, or folder of YOLO txt"
DEFAULT_LEVEL = 0.95
"""Level of intervals where none is given"""


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the options of every verb that computes metrics."""
    parser.add_argument("--split", help="split to measure (default: val, where the truth has one)")
    parser.add_argument(
        "--groups", metavar="RULE", help="regex with (?P<group>…), CSV with image,group; folder, exif or name-time"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, where labels do not name it")
    parser.add_argument("--conf", type=float, default=0.25, help="confidence threshold of rates (default: %(default)s)")
    parser.add_argument("--level", type=float, default=DEFAULT_LEVEL, help="level of intervals (default: %(default)s)")
    parser.add_argument("--sigmas", help="OKS sigmas: coco, one number, or one for each keypoint with commas between")
    parser.add_argument("--common", action="store_true", help="only images that were predicted on; the result says so")


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap, before the first starts; only where glibc is used.

    Each thread has a heap of its own otherwise, and what it frees there stays taken: 30 MB of 220 at the scale of COCO.
    Compiled code allocates nothing, so threads do not wait for each other.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class SampleOptions(TypedDict):
    """Keyword arguments of `evaluate_sample` and `compare_sample`."""

    split: str | None
    images: Path | None
    level: float
    conf: float
    label_errors: str | None
    open_anyway: str | None


def add_sample(parser: argparse.ArgumentParser) -> None:
    """Add --sample to evaluate and compare."""
    parser.add_argument(
        "--sample", type=Path, metavar="CSV",
        help="sample.csv of `data sample --for`: only its images, each weighted by its inverse probability",
    )  # fmt: skip


def add_label_errors(parser: argparse.ArgumentParser) -> None:
    """Add --label-errors to evaluate and compare."""
    parser.add_argument(
        "--label-errors", metavar="SHARE|JSON",
        help="largest share of wrong labels (0.03), or the --json of `data agree` or `check --reviewed`: intervals "
        "then hold whatever these labels should have been",
    )  # fmt: skip


def of_sample(args: argparse.Namespace) -> SampleOptions:
    """Return the keyword arguments that `evaluate_sample` and `compare_sample` share, from the options.

    Raises:
        UsageError: an option that a sample does not take.
    """
    refused = ("groups", "sigmas", "common", "by", "threats", "threshold", "val", "val_truth", "errors", "pck")
    if unused := [name for name in refused if getattr(args, name, None)]:
        raise UsageError(
            "not on a drawn sample: it has its own groups, and only box metrics and rates are weighted",
            got=", ".join(f"--{name.replace('_', '-')}" for name in unused),
        )  # fmt: skip
    return SampleOptions(
        split=args.split, images=args.images, level=args.level, conf=args.conf, label_errors=args.label_errors,
        open_anyway=reason_to_open(args),
    )  # fmt: skip


def add_breakdown(parser: argparse.ArgumentParser) -> None:
    """Add the options of evaluate and compare: slices, and screening of whole images."""
    parser.add_argument(
        "--by", metavar="RULE", help="slice by slice: FILE.csv#COLUMN, regex with one (?P<name>…), folder or group"
    )
    screening = parser.add_argument_group("whole images", "is there a threat on it? Score = best detection of a threat")
    screening.add_argument("--threats", metavar="CLASS,…", type=_words, default=(), help="classes that are a threat")
    screening.add_argument(
        "--threshold",
        metavar="T",
        help="flag from this score on; or chosen on val by f1, recall=0.9, false_alarms=0.05",
    )
    screening.add_argument(
        "--val", metavar="PREDICTIONS", action="append", type=Path, default=[],
        help="predictions on val to choose the threshold by; compare: once for each model, control first",
    )  # fmt: skip
    screening.add_argument("--val-truth", metavar="T", type=Path, help="truth of val, where it is another file")


def measuring(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of the API from the options of `add_measuring` and `add_breakdown`."""
    names = (
        "split",
        "groups",
        "images",
        "conf",
        "level",
        "sigmas",
        "common",
        "by",
        "threats",
        "threshold",
        "val_truth",
        "label_errors",
        "open_anyway",
    )
    options = {name: getattr(args, name) for name in names if hasattr(args, name)}
    return options | ({"open_anyway": reason_to_open(args)} if "open_anyway" in options else {})


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
