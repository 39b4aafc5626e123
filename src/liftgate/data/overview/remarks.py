"""Remarks on a data set: what to know before training on it, one sentence with its number each."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.data.overview.record import Overview

_TINY_SHARE = 0.1
_FEW_GROUPS = 5


def remarks(view: Overview) -> tuple[str, ...]:
    """Return the remarks, most consequential first; none is good news, not an oversight."""
    return tuple(_remarks(view))


def _remarks(view: Overview) -> Iterator[str]:
    if view.split_groups:
        some = ", ".join(view.split_groups[:3])
        yield (
            f"{len(view.split_groups)} groups have images in more than one split, such as {some}: the test would be "
            "answered from memory."
        )
    faults = view.counts.faults
    if faults:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in faults.items())
        yield f"Read with faults ({kinds}): liftgate check says where and what to do."
    empty = [row.name for row in view.classes if not row.n_objects]
    if empty:
        yield f"{len(empty)} of {len(view.classes)} classes have no object: {_some(empty)}."
    thin = [f"{row.name} ({row.n_groups})" for row in view.classes if 0 < row.n_groups < _FEW_GROUPS]
    if thin:
        yield f"Fewer than {_FEW_GROUPS} groups hold {_some(thin)}: no interval can be established for them."
    under = view.under.get("8", 0.0)
    if under >= _TINY_SHARE:
        yield f"{under:.0%} of the boxes are under 8 px at imgsz {view.imgsz}: one cell of a YOLO model's finest grid."
    unlabelled = sum(row.n_unlabelled for row in view.counts.splits)
    if unlabelled:
        yield f"{unlabelled:,} images have no label file: training takes them for empty, but no label says so."
    if view.counts.n_images and not sum(row.n_background for row in view.counts.splits):
        yield "No image is labelled as empty: what the model does where nothing is, is never tested."
    if view.licence is None:
        yield "The licence is unknown."
    if view.confidential:
        yield "Confidential: nothing of it, this page included, may leave the machine."


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
