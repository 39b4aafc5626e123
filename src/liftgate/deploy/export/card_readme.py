"""README.md of an export: its card for people."""

from __future__ import annotations

from liftgate.deploy.export.card import CARD, ExportCard, InputContract, Source
from liftgate.hashing import short


def readme_text(card: ExportCard) -> str:
    """Return the text of README.md: the card for people."""
    entry, result = card.input, card.output
    size = f"{card.n_bytes / 1e6:.1f} MB"
    shape = " × ".join("any" if side is None else str(side) for side in result.shape)
    suppression = "outside the file: run it after the model"
    if result.nms:
        suppression = "inside the file"
        if result.nms_conf:
            suppression += f"; nothing below confidence {result.nms_conf:g} comes out, so curves and mAP are cut there"
    keypoints = "none" if result.keypoints is None else f"{result.keypoints[0]}, of {result.keypoints[1]} values each"
    rows = [
        ("format", f"{card.format}, {card.precision}, {size}" + (f", opset {card.opset}" if card.opset else "")),
        ("task", card.task),
        ("input", f"{entry.width} × {entry.height} px, batch {entry.batch or 'any'}, {entry.layout}, {entry.dtype}"),
        ("pixels", f"{entry.channels}, {_values_text(entry)}; letterbox {entry.letterbox}, padded with {entry.pad}"),
        ("output", f"{result.layout}, {shape}; boxes {result.boxes} in pixels of the input"),
        ("scores", f"0 to {result.score_scale:g}"),
        ("NMS", suppression),
        ("keypoints", keypoints),
        ("used with", f"conf {card.use.conf:g}, iou {card.use.iou:g}, at most {card.use.max_det} detections"),
        ("weights", _source_text(card.weights)),
        ("trained on", "not known" if card.data is None else _source_text(card.data)),
    ]
    if card.calibration is not None:
        one = card.calibration
        amount = f"{one.n_images} images of {one.n_groups} groups of {_plain(one.dataset.name)}, {one.split}"
        rows.append(("calibrated on", f"{amount}, seed {one.seed}, `{short(one.sha256)}`; {_plain(one.method)}"))
    if card.device is not None:
        device = f"{_plain(card.device.name)}, driver {_plain(card.device.driver)}, {_plain(card.device.runtime)}"
        rows.append(("runs on", f"{device}: on no other"))
    rows += [(f"version of {_plain(name)}", _plain(version)) for name, version in card.versions]
    lines = [f"# {_plain(card.model)}", "", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]
    lines += [f"- {_plain(note)}" for note in card.notes] + ([""] if card.notes else [])
    lines += ["Classes, in the order of the output:", ""]
    lines += [f"{index}. {_plain(name)}" for index, name in enumerate(result.classes)]
    lines += ["", *(f"- `{one.path}`: SHA-256 `{one.sha256}`" for one in card.files), ""]
    return "\n".join([*lines, f"`{CARD}` says the same for programs.", ""])


def _values_text(entry: InputContract) -> str:
    text = f"times {entry.scale:.6g}"
    if entry.mean:
        text += f", less {', '.join(f'{one:g}' for one in entry.mean)}"
    return text + (f", over {', '.join(f'{one:g}' for one in entry.deviation)}" if entry.deviation else "")


def _source_text(source: Source) -> str:
    return f"{_plain(source.name)}, `{short(source.sha256)}`, licence {_plain(source.licence or 'unknown')}"


def _plain(text: str) -> str:
    """Return untrusted text for a Markdown table: one line, without active Markdown or HTML."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#!" else letter for letter in " ".join(text.split()))
