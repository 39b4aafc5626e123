"""What the card of an export cannot say: values that are not possible, and such that contradict each other."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from liftgate.deploy.export.card import ExportCard, InputContract, OutputContract
from liftgate.errors import DataError

_MOST_PIXELS = 1 << 26


def require_consistent(card: ExportCard, path: Path, *, written: bool = True) -> None:
    """Refuse a card that contradicts itself or has values that cannot be.

    Args:
        card: of the export.
        path: for the message.
        written: whether it is a card's file; one made for somebody's model takes its file's name as it is.

    Raises:
        DataError: names the first of them.
    """
    for what, expected, got in [*_contradictions(card), *(_wrong_files(card) if written else ())]:
        raise DataError(f"the card contradicts itself: {what}", where=path, expected=expected, got=got)


def _contradictions(card: ExportCard) -> list[tuple[str, object, object]]:
    """Return (what, expected, got) of every rule that the card breaks."""
    result, use = card.output, card.use
    found = _wrong_input(card.input)
    if not result.classes or len(set(result.classes)) < len(result.classes):
        found.append(("class names", "at least one, each once", ", ".join(result.classes)))
    if not result.score_scale > 0:
        found.append(("the score scale", "above 0", result.score_scale))
    if (card.task == "pose") != (result.keypoints is not None):
        found.append(("keypoints", f"{'some' if card.task == 'pose' else 'none'} for {card.task}", result.keypoints))
    if result.keypoints is not None and (result.keypoints[0] < 1 or result.keypoints[1] not in (2, 3)):
        found.append(("keypoints", "(number, 2 or 3)", result.keypoints))
    if (result.layout == "detections") != result.nms:
        found.append(("detections come after NMS, raw anchors before it", result.layout, f"nms {result.nms}"))
    if result.nms_conf is not None and not (result.nms and 0 <= result.nms_conf <= 1):
        found.append(("the confidence where suppression cuts", "0 to 1, and null without it", result.nms_conf))
    if len(result.shape) != 3 or min((side for side in result.shape if side is not None), default=1) < 1:
        found.append(("the output's shape", "three sides, or null for any", result.shape))
    else:
        found += _wrong_channels(result)
    if not (0 <= use.conf <= 1 and 0 < use.iou <= 1 and use.max_det >= 1):
        found.append(("settings of use are not possible", "conf 0–1, iou above 0 to 1, max_det from 1", use))
    hashes = [one.sha256 for one in card.files] + [card.weights.sha256]
    if bad := [one for one in hashes if len(one) != 64 or set(one) - set("0123456789abcdef")]:
        found.append(("a SHA-256", "64 hex digits", bad[0]))
    if card.precision == "int8" and card.format == "pt":
        found.append(("the precision of a checkpoint", "fp32 or fp16", card.precision))
    return found


def _wrong_files(card: ExportCard) -> list[tuple[str, object, object]]:
    names = [one.path for one in card.files]
    if not names or len(set(names)) < len(names) or not all(map(_is_below, [*names, card.model])):
        return [("its files", "at least one, each once, below the card's folder", ", ".join(names) or "none")]
    if not any(name == card.model or name.startswith(f"{card.model}/") for name in names):
        return [("the model is not among its files", card.model, ", ".join(names))]
    return []


def _wrong_input(entry: InputContract) -> list[tuple[str, object, object]]:
    found: list[tuple[str, object, object]] = []
    sizes = [entry.height, entry.width, *([] if entry.batch is None else [entry.batch])]
    if min(sizes) < 1 or max(sizes) > 1 << 16:
        found.append(("the input's size is not possible", "1 to 65,536", sizes))
    elif entry.height * entry.width > _MOST_PIXELS:  # a small file would cost gigabytes for each image
        found.append(("the input is too large", f"at most {_MOST_PIXELS:,} pixels", sizes))
    if not 0 < entry.scale <= 1 or not 0 <= entry.pad <= 255:
        found.append(("pixel values are not possible", "scale 0–1 and pad 0–255", (entry.scale, entry.pad)))
    if {len(entry.mean), len(entry.deviation)} - {0, 3} or not all(one > 0 for one in entry.deviation):
        found.append(("mean and deviation", "three each, deviations above 0", (entry.mean, entry.deviation)))
    return found


def _wrong_channels(result: OutputContract) -> list[tuple[str, object, object]]:
    points = 0 if result.keypoints is None else result.keypoints[0] * result.keypoints[1]
    expected, side = 4 + len(result.classes) + points, result.shape[1]
    if result.layout == "detections":
        expected, side = 6 + points, result.shape[2]
    if side is None or side == expected:
        return []
    return [("the output has another number of values than its classes and keypoints", expected, side)]


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
