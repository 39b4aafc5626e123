"""`liftgate data`: verbs on data sets. Each sub-verb is a module liftgate.cli.data_NAME."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

SUBVERBS = {
    "frames": "images out of videos, cameras and folders",
    "convert": "write as YOLO, COCO, Pascal VOC or CVAT, and report what is lost",
    "merge": "several data sets as one, conflicts first",
    "fetch": "a data set version from Roboflow",
    "mix": "a training set from several, some seen more often; val and test never mixed",
    "split": "train, val and test by group, frozen in split.csv",
    "prelabel": "a model's boxes on new frames, for CVAT",
    "corrections": "what people changed of pre-labels",
    "agree": "how far annotators agree",
    "sample": "the next frames to label",
    "duplicates": "copies, siblings and neighbours in time, and the groups that keep them together",
    "stats": "counts, sizes, class balance and groups",
    "snapshot": "prove later that the data are still the same",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data`."""
    verbs = parser.add_subparsers(dest="subverb", metavar="SUBVERB", required=True, action=_LazySubverb)
    for name, summary in SUBVERBS.items():
        verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")


class _LazySubverb(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Import only the module of the sub-verb on the command line."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        name = values[0]
        if name in self.choices:
            module = importlib.import_module(f"liftgate.cli.data_{name}")
            child = self.choices[name]
            module.configure(child)
            child.set_defaults(run_subverb=module.run)
        super().__call__(parser, namespace, values, option_string)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data` and return its exit code."""
    return int(args.run_subverb(args))
