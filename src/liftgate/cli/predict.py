"""`liftgate predict`: detections of any model on any images."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, say, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate predict`."""
    parser.add_argument("model", metavar="MODEL", help="a .pt, an export's folder, an .onnx or an OpenVINO .xml")
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="a folder of images, one image, a frames.csv or a data set"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="JSON", help="COCO results, for evaluate and compare"
    )
    parser.add_argument("--page", type=Path, metavar="HTML", help="also write a page with pictures of what was found")
    parser.add_argument("--split", help="split of a data set (default: all its images)")
    parser.add_argument("--conf", type=float, help="least confidence (default: 0.001, as mAP needs, or the card's)")
    parser.add_argument("--iou", type=float, help="limit of non-maximum suppression (default: 0.7, or the card's)")
    parser.add_argument("--max-det", type=int, metavar="N", help="most detections of an image (default: 300)")
    parser.add_argument("--imgsz", type=int, help="size of the input of a .pt (default: that of its training)")
    parser.add_argument("--device", help="of a .pt: cpu, 0, … (default: the first GPU, else the CPU)")
    parser.add_argument("--classes", metavar="A,B,…", help="names in the model's order, for an export that has none")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate predict` and return its exit code."""
    from liftgate.services.prediction import predict

    with progress() as bar:
        result = predict(
            args.model,
            args.images,
            args.out,
            split=args.split,
            conf=args.conf,
            iou=args.iou,
            max_det=args.max_det,
            imgsz=args.imgsz,
            device=args.device,
            classes=[name.strip() for name in args.classes.split(",")] if args.classes else (),
            page=args.page,
            progress=bar,
        )
    found = result.predictions
    counts, conf = {"n_images": len(found.images), "n_detections": len(found)}, found.settings["conf"]
    if args.json:
        settings = {name: value for name, value in found.settings.items() if name != "images"}
        page = {} if args.page is None else {"page": str(args.page)}
        emit_json({"out": str(args.out), **page, **counts, "settings": settings, "notes": list(result.notes)})
        return 0
    show(args.out)
    if args.page is not None:
        show(args.page)
    say(f"{counts['n_images']} images, {counts['n_detections']} detections with confidence {conf:g} or more")
    for note in result.notes:
        say(f"note: {note}")
    return 0
