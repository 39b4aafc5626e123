"""Rules about keypoints: flip_idx, kpt_shape, OKS sigmas, visibility flags, keypoints outside their box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from liftgate.checks.fault_findings import fault_findings, faults_of_kind
from liftgate.checks.finding import Finding
from liftgate.checks.messages import examples, first_few, label_location, plural
from liftgate.checks.probes.flip_index import flip_from_names, flip_from_positions
from liftgate.checks.rule import dataset_rule, rule
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import DEFAULT_FLIPLR, numeric_argument
from liftgate.data.core.dataset import Dataset

_OUTSIDE = 0.1  # of the box's longer side
_COCO_POINTS = 17  # the only number for which Ultralytics knows sigmas


@rule("pose.flip_idx", "error", "warning", "info")
def flip_idx(subject: Subject) -> Iterator[Finding]:
    """Horizontal flips without a correct `flip_idx`.

    `fliplr` is 0.5 unless set. With `flip_idx` missing or the identity, a mirrored left mirror keeps the label
    "left" on the right: half of the augmented images silently have left and right swapped. In the
    kill-switch project, correcting this one line raised OKS-mAP from 0.2199 to 0.5038.

    The right `flip_idx` follows from names with sides (left_eye, FR, mirror_l): then this is an error. Without such
    names it is estimated from the positions of the keypoints, where they decide it: the flip under which mirrored poses
    look like real poses. A pen whose tip always points left looks like that too, so this is a warning with a proposal.

    Fix: write `flip_idx` into the data.yaml: for each keypoint the number it has in the mirror; it must undo
    itself. Or `fliplr: 0.0`.
    """
    for name, dataset in subject.datasets.items():
        points = dataset.keypoints
        if points is None:
            continue
        where = f"{dataset.source}, flip_idx"
        proposed = flip_from_names(points.names)
        by_names = f"by their names it is {','.join(map(str, proposed))}" if proposed else None
        hint = f"flip_idx: [{', '.join(map(str, proposed))}]" if proposed else None
        details: dict[str, Any] = {"dataset": name, "proposed": list(proposed) if proposed else None}
        if faults_of_kind(dataset, "flip_idx_invalid"):  # the reader ignored it: do not report it as missing too
            for finding in fault_findings(flip_idx, dataset, {"flip_idx_invalid": "error"}):
                more = f"; {by_names}" if by_names else ""
                data = {**finding.data, **details}
                yield replace(finding, message=finding.message + more, hint=hint or finding.hint, data=data)
            continue
        mirrored = _mirrored(subject, name)
        given = points.flip_idx
        if (
            given is not None
            and len(given) == len(points.names)
            and any(not 0 <= partner < len(given) or given[partner] != i for i, partner in enumerate(given))
        ):
            message = (
                f"flip_idx {','.join(map(str, given))} does not undo "
                "itself: mirroring twice must give the first picture"
            )
            yield flip_idx.finding(where, message, hint=hint, **details)
        elif given is not None and len(given) != len(points.names):
            message = f"flip_idx has {len(given)} entries for {len(points.names)} keypoints"
            yield flip_idx.finding(where, message, hint=hint, **details)
        elif mirrored and (given is None or list(given) == list(range(len(given)))):
            what = "is missing" if given is None else "is the identity"
            if given is None and dataset.format != "yolo" and subject.study is None:
                # COCO has no field for it: nothing is wrong until a training.
                yield flip_idx.finding(
                    where,
                    f"{dataset.format} labels carry no flip_idx" + (f"; {by_names}" if by_names else ""),
                    hint=hint,
                    severity="info",
                    **details,
                )
            elif proposed:
                yield flip_idx.finding(
                    where,
                    f"flip_idx {what} and fliplr mirrors half of the images ({mirrored}); {by_names}",
                    hint=hint,
                    **details,
                )
            elif len(points.names) > 1:
                # Points along a line mirror onto themselves: without names it cannot be known, so no error.
                message = (
                    f"flip_idx {what} and fliplr mirrors half of the images "
                    f"({mirrored}): right only if no keypoint has a side"
                )
                seen = flip_from_positions(dataset)
                if seen is not None:
                    message += f"; by where they lie in {seen.images} images it is {','.join(map(str, seen.flip))}"
                    hint = f"flip_idx: [{', '.join(map(str, seen.flip))}] if the two sides of the thing are alike"
                    details |= {"proposed": list(seen.flip), "left_over": round(seen.left_over, 4)}
                yield flip_idx.finding(where, message, hint=hint, severity="warning", **details)
        elif proposed and given is not None and _contradicts(given, proposed):
            message = f"flip_idx is {','.join(map(str, given))}; {by_names}" + (
                "" if mirrored else "; nothing mirrors here"
            )
            yield flip_idx.finding(where, message, hint=hint, severity="warning" if mirrored else "info", **details)


@dataset_rule("pose.kpt_shape", "error")
def kpt_shape(dataset: Dataset) -> Iterator[Finding]:
    """`kpt_shape` that is not what the labels hold.

    Ultralytics wants 5 + keypoints × dimensions columns in every row and drops the image otherwise.

    Fix: count the columns of one row: kpt_shape is [(columns − 5) / 3, 3] with visibility, [(columns − 5) / 2, 2]
    without.
    """
    declared = dataset.raw.get("kpt_shape")
    if declared is None:
        return
    good = (
        isinstance(declared, list | tuple)
        and len(declared) == 2
        and all(isinstance(one, int) and one > 0 for one in declared)
        and declared[1] in (2, 3)
    )
    if not good:
        message = f"kpt_shape is {declared!r}; it is [number of keypoints, 2 or 3]"
        yield kpt_shape.finding(f"{dataset.source}, kpt_shape", message)
        return
    rows = faults_of_kind(dataset, "row_columns")
    if rows and not len(dataset.labels):
        message = (
            f"kpt_shape {list(declared)} needs {5 + declared[0] * declared[1]} columns in a row: {rows[0].message}"
        )
        yield kpt_shape.finding(rows[0].where, message, **examples([fault.where for fault in rows]))


@rule("pose.sigmas", "warning")
def sigmas(subject: Subject) -> Iterator[Finding]:
    """A pose study without OKS sigmas.

    Unless there are 17 keypoints, Ultralytics takes 1/n for each, which is generous: with 3 keypoints the same
    predictions scored mAP50 .981, and .0066 with sigma 0.05. Two projects' OKS-mAP cannot be compared without them.

    Fix: write `kpt_oks_sigmas` into the data.yaml, one for each keypoint; 0.05 is common where nobody has measured the
    annotators' spread.
    """
    for name, dataset in subject.datasets.items():
        points = dataset.keypoints
        if points is None or points.sigmas is not None or len(points.names) == _COCO_POINTS:
            continue
        count = max(len(points.names), 1)
        message = f"no OKS sigmas for {count} keypoints: Ultralytics takes 1/{count} = {1 / count:.3f} for each"
        yield sigmas.finding(dataset.source, message, dataset=name, keypoints=count)


@dataset_rule("pose.visibility", "warning", "info")
def visibility(dataset: Dataset) -> Iterator[Finding]:
    """Visibility flags without information, or keypoints that are never labelled.

    Flags that are 2 everywhere mean that hidden points were guessed or that the exporter writes a constant; a
    keypoint that is 0 everywhere is never learnt, and drags OKS down for everybody.

    Fix: label hidden points with 1 and unlabelled ones with 0; drop keypoints that are never labelled.
    """
    points = dataset.labels.keypoints
    if points is None or dataset.keypoints is None or len(points) < 20:
        return
    seen = points[:, :, 2] > 0
    named = dataset.keypoints.names
    never = [named[i] if i < len(named) else str(i) for i in np.flatnonzero(~seen.any(axis=0))]
    if never:
        message = f"{plural(len(never), 'keypoint is', 'keypoints are')} never labelled: {first_few(never)}"
        yield visibility.finding(dataset.source, message, never=never)
    if dataset.keypoints.dims == 3 and len(np.unique(points[:, :, 2])) == 1 and not never:
        flag = int(points[0, 0, 2])
        message = f"every keypoint of all {len(points):,} objects has visibility {flag}"
        yield visibility.finding(dataset.source, message, severity="info", flag=flag)


@dataset_rule("pose.outside", "warning", "info")
def outside(dataset: Dataset) -> Iterator[Finding]:
    """Keypoints that lie outside the box of their object.

    A few stick out where the box was drawn around the visible part. Many show that keypoints and boxes come from
    different images or scales.

    Fix: look at the named objects; export keypoints and boxes from the same tool at once.
    """
    labels = dataset.labels
    points = labels.keypoints
    if points is None or not len(points):
        return
    boxes = labels.boxes
    slack = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).max(axis=1)[:, None] * _OUTSIDE
    x, y, seen = points[:, :, 0], points[:, :, 1], points[:, :, 2] > 0
    beyond = (
        (x < boxes[:, None, 0] - slack)
        | (x > boxes[:, None, 2] + slack)
        | (y < boxes[:, None, 1] - slack)
        | (y > boxes[:, None, 3] + slack)
    ) & seen
    total = int(seen.sum())
    rows = np.flatnonzero(beyond.any(axis=1))
    if len(rows):
        share = int(beyond.sum()) / max(total, 1)
        places = [label_location(dataset, int(row)) for row in rows]
        message = (
            f"{plural(int(beyond.sum()), 'keypoint')} of {total:,} "
            f"({share:.1%}) outside the box, of {plural(len(rows), 'object')}"
        )
        yield outside.finding(
            places[0],
            message,
            severity="warning" if share > 0.05 else "info",
            share=round(share, 4),
            **examples(places),
        )


def _contradicts(given: Sequence[int], proposed: Sequence[int]) -> bool:
    """Return whether a pair that follows from the names is missing in `given`; further pairs are allowed."""
    return any(partner != i and given[i] != partner for i, partner in enumerate(proposed))


def _mirrored(subject: Subject, name: str) -> str | None:
    """Return, for a message, where this data set is trained with horizontal flips; None: nowhere."""
    if subject.study is None:
        return "fliplr is 0.5 by default"
    for place in subject.stages:
        share = numeric_argument(place.stage.recipe, "fliplr", DEFAULT_FLIPLR)
        if name in place.stage.sources and share > 0:
            return f"{place.where}: fliplr {share:g}"
    return None
