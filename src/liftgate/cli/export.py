"""`liftgate export`: a checkpoint in other formats and precisions, with a card beside each."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, say, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate export`."""
    parser.add_argument("model", metavar="MODEL", help="a .pt")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write, missing or empty")
    parser.add_argument(
        "--formats", default="onnx", metavar="A,B,…",
        help="onnx, openvino, torchscript, ncnn, tensorrt, litert, executorch (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--precisions", default="fp32", metavar="A,B,…", help="fp32, fp16, int8 (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="what it was trained on; int8 calibrates on its train")
    parser.add_argument("--groups", help="groups of the data: a regex with (?P<group>…), a CSV, or `folder`")
    parser.add_argument("--imgsz", type=int, help="size of the input (default: that of the training)")
    parser.add_argument("--opset", type=int, help="of ONNX (default: the exporter's choice)")
    parser.add_argument("--nms", action="store_true", help="suppression inside the file; cuts confidences below 0.25")
    parser.add_argument("--calibration", type=int, default=128, metavar="N", help="images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of calibration images (default: %(default)s)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate export` and return its exit code."""
    import msgspec

    from liftgate.services.exporting import export

    with progress() as bar:
        result = export(
            args.model,
            args.out,
            formats=_words(args.formats),
            precisions=_words(args.precisions),
            data=args.data,
            groups=args.groups,
            imgsz=args.imgsz,
            opset=args.opset,
            nms=args.nms,
            n_calibration=args.calibration,
            seed=args.seed,
            progress=bar,
        )
    if args.json:
        cards = {str(one.folder): msgspec.to_builtins(one.card) for one in result.exports}
        emit_json({"out": str(result.folder), "exports": cards, "notes": list(result.notes)})
        return 0
    for one in result.exports:
        show(one.folder)
        say(f"{one.card.format} {one.card.precision}, {one.card.n_bytes / 1e6:.1f} MB")
    for note in result.notes:
        say(f"note: {note}")
    return 0


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
