"""Are mistakes in labels found? Planted into real labels, looked for with out-of-fold predictions, beside neighbours.

    python -P benchmarks/mistakes.py NAME data.yaml predictions.json
    python -P benchmarks/mistakes.py NAME data.yaml predictions.json --look DIR [--published] [--images DIR]

5% of the labels are taken away, 5% get another class, 5% are moved by 0.35 to 0.6 of their size, and boxes where
nothing is labelled are added (2%). The predictions have to come from models that were trained on other images, with the
planted mistakes in their labels: `--write DIR` writes the data set with the mistakes, to train on. A planted mistake
counts as found whatever it is called. Nothing else counts, although published labels have mistakes of their own, so a
precision here is a lower bound: docs/judging.md says what a look at the rest showed. cleanlab (objectlab) and hotcoco
are asked the same where they are installed. `--look` draws Liftgate's 20 most suspicious places that were not planted
instead, red the label, blue the model's box, green other labels; with `--published` nothing is planted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.checks.probes.label_mistakes import FLAGGED, find_mistakes
from liftgate.data import read
from liftgate.data.core.dataset import Dataset, Labels, stack_labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import read_predictions
from liftgate.data.formats.yolo import tree
from liftgate.evaluation.alignment import align
from liftgate.evaluation.truth import read_truth
from liftgate.judging.crops import window_of

KINDS = ("missing", "class", "box", "spurious")


class Planted(NamedTuple):
    dataset: Dataset
    kinds: NDArray[np.object_]
    """(n,) what is wrong with each label; empty: nothing was planted"""
    missing: Labels
    """Labels that were taken away"""


class Suspect(NamedTuple):
    kind: str
    image: int
    label: int
    """−1: none"""
    box: NDArray[np.float64] | None
    """Of a missing label"""
    suspicion: float
    flagged: bool
    detection: int = -1


def plant(dataset: Dataset, seed: int) -> Planted:
    """Return the data set with mistakes in 17% of its labels."""
    rng, labels, number = np.random.default_rng(seed), dataset.labels, len(dataset.classes)
    usable = np.flatnonzero(((labels.boxes[:, 2:] - labels.boxes[:, :2]) > 2).all(axis=1))
    each = round(0.05 * len(labels))
    missing, wrong, moved = (rng.permutation(usable)[: 3 * each]).reshape(3, each)
    cls, boxes, kinds = labels.cls.copy(), labels.boxes.copy(), np.full(len(labels), "", dtype=object)
    cls[wrong] = (cls[wrong] + rng.integers(1, number, each)) % number
    angle, far = rng.uniform(0, 2 * np.pi, each), rng.uniform(0.35, 0.6, each)
    move = np.stack([np.cos(angle), np.sin(angle)], axis=1) * far[:, None] * (boxes[moved, 2:] - boxes[moved, :2])
    edge = np.array([image.upright for image in dataset.images], dtype=np.float64)[labels.image[moved]]
    boxes[moved] = np.clip(boxes[moved] + np.tile(move, 2), 0, np.tile(edge, 2))
    kinds[wrong], kinds[moved] = "class", "box"
    kept = np.ones(len(labels), dtype=np.bool_)
    kept[missing] = False
    rows = list(_boxes_on_nothing(dataset, usable, round(0.02 * len(labels)), rng))
    extra = Labels.build([r[0] for r in rows], [r[1] for r in rows], np.array([r[2] for r in rows]))
    table = stack_labels([replace(labels, cls=cls, boxes=boxes, sides=None).take(kept), extra])
    order = np.argsort(table.image, kind="stable")
    all_kinds = np.concatenate([kinds[kept], np.full(len(rows), "spurious", dtype=object)])
    return Planted(replace(dataset, labels=table.take(order)), all_kinds[order], labels.take(missing))


def _boxes_on_nothing(
    dataset: Dataset, usable: NDArray[np.int64], count: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    labels, made = dataset.labels, 0
    while made < count:
        row, image = int(rng.choice(usable)), int(rng.integers(len(dataset.images)))
        size, room = labels.boxes[row, 2:] - labels.boxes[row, :2], np.array(dataset.images[image].upright)
        if (size >= room).any():
            continue
        corner = rng.uniform(size=2) * (room - size)
        box = np.concatenate([corner, corner + size])
        if iou(box[None], labels.boxes[labels.image == image]).max(initial=0) < 0.1:
            made += 1
            yield image, int(labels.cls[row]), box


def by_liftgate(planted: Planted, predictions: Predictions) -> list[Suspect]:
    return [
        Suspect(
            one.kind, one.image, one.label, predictions.boxes[one.detection] if one.label < 0 else None, one.suspicion,
            one.suspicion >= FLAGGED, one.detection,
        )
        for one in find_mistakes(planted.dataset, predictions)
    ]  # fmt: skip


def by_objectlab(planted: Planted, predictions: Predictions) -> list[Suspect]:
    """cleanlab's scores of boxes, flagged by its own thresholds; it has no score for spurious labels."""
    from cleanlab.internal.constants import (
        BADLOC_THRESHOLD_FACTOR as BADLOC,
    )
    from cleanlab.internal.constants import (
        OVERLOOKED_THRESHOLD_FACTOR as OVERLOOKED,
    )
    from cleanlab.internal.constants import (
        SWAP_THRESHOLD_FACTOR as SWAP,
    )
    from cleanlab.object_detection import rank

    dataset, labels = planted.dataset, planted.dataset.labels
    rows = [np.flatnonzero(labels.image == i) for i in range(len(dataset.images))]
    seen = [[np.flatnonzero((predictions.image == i) & (predictions.cls == c)) for c in range(len(dataset.classes))]
            for i in range(len(dataset.images))]  # fmt: skip
    given = [{"bboxes": labels.boxes[r], "labels": labels.cls[r], "seg_map": "", "image_name": ""} for r in rows]
    found = [np.array([np.concatenate([predictions.boxes[r], predictions.scores[r, None]], axis=1) for r in image]
             + [np.zeros((0, 5))], dtype=object)[:-1] for image in seen]  # fmt: skip
    suspects: list[Suspect] = []
    for kind, scores, limit in (
        ("box", rank.compute_badloc_box_scores(labels=given, predictions=found), 0.5 * BADLOC),
        ("class", rank.compute_swap_box_scores(labels=given, predictions=found), 0.5 * SWAP),
    ):
        for image, values in enumerate(scores):
            suspects += [
                Suspect(kind, image, int(r), None, 1 - float(v), float(v) < limit)
                for r, v in zip(rows[image], values, strict=True)
                if np.isfinite(v)
            ]
    for image, values in enumerate(rank.compute_overlooked_box_scores(labels=given, predictions=found)):
        order = np.concatenate([*seen[image], np.zeros(0, dtype=np.int64)]).astype(np.int64)
        suspects += [
            Suspect("missing", image, -1, predictions.boxes[r], 1 - float(v), float(v) < 0.5 * OVERLOOKED)
            for r, v in zip(order, values, strict=True)
            if np.isfinite(v)
        ]
    return suspects


def by_hotcoco(planted: Planted, predictions: Predictions) -> list[Suspect]:
    """hotcoco's label errors: of detections of score 0.5 and more; ranked by the score."""
    import hotcoco

    dataset, labels = planted.dataset, planted.dataset.labels
    sized = lambda b: [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])]  # noqa: E731
    truth = {
        "images": [{"id": i + 1, "width": one.width, "height": one.height} for i, one in enumerate(dataset.images)],
        "categories": [{"id": c + 1, "name": name} for c, name in enumerate(dataset.classes)],
        "annotations": [
            {"id": r + 1, "image_id": int(labels.image[r]) + 1, "category_id": int(labels.cls[r]) + 1, "iscrowd": 0,
             "bbox": sized(labels.boxes[r]), "area": float(labels.area[r])} for r in range(len(labels))
        ],
    }  # fmt: skip
    results = [
        {"image_id": int(predictions.image[r]) + 1, "category_id": int(predictions.cls[r]) + 1,
         "bbox": sized(predictions.boxes[r]), "score": float(predictions.scores[r])} for r in range(len(predictions))
    ]  # fmt: skip
    whole = hotcoco.COCO(truth)
    run = hotcoco.COCOeval(whole, whole.load_res(results), "bbox")
    run.evaluate()
    suspects = []
    for one in run.image_diagnostics(iou_thr=0.5, score_thr=0.5)["label_errors"]:
        suspects.append(_of_hotcoco(one, results))
    return suspects


def _of_hotcoco(one: dict[str, Any], results: list[dict[str, Any]]) -> Suspect:
    kind = "class" if "label" in str(one["type"]) or "wrong" in str(one["type"]) else "missing"
    left, top, width, height = results[int(one["dt_id"]) - 1]["bbox"]
    box = np.array([left, top, left + width, top + height])
    label = int(one["gt_id"]) - 1 if one.get("gt_id") is not None else -1
    return Suspect(
        kind if label >= 0 else "missing", int(one["image_id"]) - 1, label, box, float(one["dt_score"]), True
    )


def hits(planted: Planted, suspects: list[Suspect]) -> list[tuple[Suspect, int]]:
    """Each suspect, surest first, with the planted mistake that it is: a number; −1: none."""
    taken: set[int] = set()
    found = []
    for one in sorted(suspects, key=lambda s: -s.suspicion):
        what = -1
        if one.label >= 0:
            what = one.label if planted.kinds[one.label] else -1
        else:
            rows = np.flatnonzero(planted.missing.image == one.image)
            overlap = iou(one.box[None], planted.missing.boxes[rows])[0] if one.box is not None else np.zeros(0)
            if len(overlap) and overlap.max() >= 0.5:
                what = len(planted.kinds) + int(rows[int(overlap.argmax())])
        found.append((one, -1 if what in taken else what))
        taken.add(what)
    return found


def rows_of(name: str, planted: Planted, suspects: list[Suspect]) -> Iterator[str]:
    """Yield a row for each kind, and one for all."""
    total = {"missing": len(planted.missing)} | {kind: int((planted.kinds == kind).sum()) for kind in KINDS[1:]}
    for kind in (*KINDS, "all"):
        part = [one for one in suspects if kind in (one.kind, "all")]
        found = hits(planted, part)
        wanted = sum(total.values()) if kind == "all" else total[kind]
        flagged = [what >= 0 for one, what in found if one.flagged]
        right = np.cumsum([what >= 0 for _, what in found])
        at = np.flatnonzero(right >= 0.7 * wanted)
        curve = f"{right[at[0]] / (at[0] + 1):.2f}" if len(at) else "-"
        rate = f"{np.mean(flagged):.2f}" if flagged else "-"
        yield (
            f"{name:<24} {kind:<9} {wanted:>7} {len(flagged):>8} {rate:>9} {sum(flagged) / wanted:>7.2f} {curve:>19}"
        )


def look(folder: Path, planted: Planted, predictions: Predictions, number: int = 20) -> Iterator[str]:
    """Draw the most suspicious places that were not planted, and yield a line about each."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = planted.dataset
    labels, suspects = dataset.labels, by_liftgate(planted, predictions)
    kinds = {kind: sum(one.flagged and one.kind == kind for one in suspects) for kind in KINDS}
    yield f"{len(dataset.images)} images, {len(labels)} labels, flagged: {kinds}"
    others = [one for one, what in hits(planted, suspects) if what < 0]
    for place, one in enumerate(others[:number], 1):
        image, said, seen = dataset.images[one.image], "no label", "nothing"
        boxes = [("lime", labels.boxes[row]) for row in np.flatnonzero(labels.image == one.image) if row != one.label]
        if one.label >= 0:
            boxes, said = [*boxes, ("red", labels.boxes[one.label])], dataset.classes[labels.cls[one.label]]
        if one.detection >= 0:
            boxes.append(("blue", predictions.boxes[one.detection]))
            seen = f"{dataset.classes[predictions.cls[one.detection]]} {predictions.scores[one.detection]:.2f}"
        _draw(image.path, boxes, 1 + (one.label >= 0 and one.detection >= 0), folder / f"{place:02d}.png")
        yield f"{place:>2} {one.kind:<8} {one.suspicion:.2f} {said}, the model sees {seen}: {image.id}"


def _draw(path: Path, boxes: list[tuple[str, NDArray[np.float64]]], about: int, out: Path) -> None:
    """Draw the surroundings of the last boxes with all of them, 480 pixels wide."""
    import PIL.Image
    import PIL.ImageDraw

    shown = np.array([box for _, box in boxes[-about:]])
    with PIL.Image.open(path) as opened:
        picture = opened.convert("RGB")
    window = window_of(picture.size, tuple((*map(float, box),) for box in shown))
    scale = 480 / (window[2] - window[0])
    part = picture.crop(tuple(map(int, window))).resize((480, round(scale * (window[3] - window[1]))))
    pen = PIL.ImageDraw.Draw(part)
    for colour, box in boxes:
        pen.rectangle(((box - np.tile(window[:2], 2)) * scale).tolist(), outline=colour, width=2)
    part.save(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("truth", type=Path)
    parser.add_argument("predictions", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="DIR", help="only write the data set with the mistakes")
    parser.add_argument("--look", type=Path, metavar="DIR", help="draw what is suspicious and was not planted")
    parser.add_argument("--published", action="store_true", help="plant nothing")
    parser.add_argument("--images", type=Path, help="folder of the images, where labels do not name it")
    args = parser.parse_args()
    truth = read_truth(args.truth, images=args.images) if args.images else read(args.truth)
    none = np.full(len(truth.labels), "", dtype=object)
    planted = Planted(truth, none, truth.labels.take(none != "")) if args.published else plant(truth, args.seed)
    if args.write:
        tree.write(planted.dataset, args.write)
        return
    known = read_predictions(args.predictions, planted.dataset)
    found = [known.images[i] for i in np.unique(known.image)]  # results name all images of the truth, seen or not
    seen = np.isin([image.id for image in planted.dataset.images], found)
    place = np.cumsum(seen) - 1
    labels, gone = seen[planted.dataset.labels.image], seen[planted.missing.image]
    missing = planted.missing.take(gone)
    part = Planted(
        planted.dataset.take(seen), planted.kinds[labels], replace(missing, image=place[missing.image].astype(np.int64))
    )
    predictions = align(part.dataset, known)
    if args.look:
        for row in look(args.look, part, predictions):
            print(row, flush=True)
        return
    print(f"{'found by':<24} {'kind':<9} {'planted':>7} {'flagged':>8} {'precision':>9} {'recall':>7} precision at .7")
    asked: dict[str, Callable[[Planted, Predictions], list[Suspect]]] = {
        "liftgate": by_liftgate, "cleanlab objectlab": by_objectlab, "hotcoco label errors": by_hotcoco
    }  # fmt: skip
    for who, ask in asked.items():
        try:
            suspects = ask(part, predictions)
        except ImportError as error:
            print(f"{args.name}, {who}: not asked ({error})")
            continue
        for row in rows_of(f"{args.name}, {who}"[:24], part, suspects):
            print(row, flush=True)


if __name__ == "__main__":
    main()
