"""`liftgate export`: a checkpoint in other formats and precisions, and the proof of what each costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, reason_to_open, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import EXIT_CODES, UsageError

if TYPE_CHECKING:
    from liftgate.deploy.export.agreement import Agreement


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate export`."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .pt or study.yaml; with --on-target an ONNX export"
    )
    parser.add_argument("arm", nargs="?", metavar="ARM", help="of a study (default: the one that its answer is about)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write, missing or empty")
    parser.add_argument(
        "--formats", default="onnx", metavar="A,B,…",
        help="onnx, openvino, torchscript, ncnn, tensorrt, litert, executorch (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--precisions", default="fp32", metavar="A,B,…", help="fp32, fp16, int8 (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="what it was trained on; int8 calibrates on its train")
    parser.add_argument("--groups", help="groups of the data: a regex with (?P<group>…), a CSV, or `folder`")
    parser.add_argument(
        "--imgsz", type=_size, metavar="N or H,W", help="size of the input in pixels (default: that of the training)"
    )
    parser.add_argument("--opset", type=int, help="of ONNX (default: the exporter's choice)")
    parser.add_argument("--nms", action="store_true", help="suppression inside the file; cuts confidences below 0.25")
    parser.add_argument("--calibration", type=int, default=128, metavar="N", help="images (default: %(default)s)")
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="of the draw of calibration images (default: %(default)s)"
    )
    proof = parser.add_argument_group("proof: what an export costs in accuracy")
    proof.add_argument("--prove", type=Path, metavar="TRUTH", help="COCO JSON, data.yaml or VOC folder to measure on")
    proof.add_argument(
        "--exports",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="prove these, which are there already, and export nothing",
    )
    proof.add_argument("--split", help="split of the truth (default: val, where it has one)")
    proof.add_argument(
        "--margin", type=float, default=0.01, help="of mAP50-95 that counts as equal (default: %(default)s)"
    )
    proof.add_argument("--conf", type=float, default=0.25, help="operating point (default: %(default)s)")
    proof.add_argument("--sigmas", help="OKS sigmas of a pose model: coco, one number, or one for each keypoint")
    target = parser.add_argument_group("on the device that will run it")
    target.add_argument("--on-target", action="store_true", help="write a bundle that builds and checks there")
    target.add_argument("--take", type=Path, metavar="RESULT", help="take the result folder of the device home")
    target.add_argument("--bundle", type=Path, metavar="DIR", help="its bundle (default: the folder that RESULT is in)")
    add_open_anyway(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate export` and return its exit code: that of the verdict where exports are proved."""
    if args.take is not None:
        return _take(args)
    if args.model is None:
        raise UsageError("which model?", hint="liftgate export best.pt --out exports")
    if args.on_target:
        return _write_bundle(args)
    if args.exports and args.prove is None:
        raise UsageError("--exports names what to prove", hint="--prove data.yaml --split test")
    if args.exports and args.out:
        raise UsageError("--exports writes no exports", got="--out", hint="leave one of the two out")
    if not args.exports and args.out is None:
        raise UsageError("where to write?", hint="--out exports")
    code = 0
    printed: dict[str, object] = {}
    folders = args.exports or []
    if not folders:
        folders, printed = _export(args)
    if args.prove is not None:
        code = _prove(args, folders, printed)
    if args.json:
        emit_json(printed)
    return code


def _write_bundle(args: argparse.Namespace) -> int:
    from liftgate.services.export_target import export_on_target

    if args.data is None or args.out is None:
        raise UsageError("--on-target needs --data and --out", hint="--data data.yaml --out bundle")
    if len(words := _words(args.precisions)) != 1:
        raise UsageError("a bundle has one precision", got=args.precisions)
    with progress() as bar:
        record = export_on_target(
            args.model,
            args.data,
            args.out,
            precision=words[0],
            groups=args.groups,
            n_calibration=args.calibration,
            seed=args.seed,
            progress=bar,
        )
    if args.json:
        emit_json({"out": str(args.out), "bundle": record.id, "n_images": len(record.images)})
        return 0
    show(args.out)
    say("copy it to the device, there: python3 run_on_target.py; copy its folder `result` back into the bundle, here:")
    say(f"liftgate export --take {args.out}/result --out DIR")
    return 0


def _take(args: argparse.Namespace) -> int:
    from liftgate.services.export_target import take_export

    if args.out is None:
        raise UsageError("where to write?", hint="--out exports/target")
    taken = take_export(args.take, args.out, bundle=args.bundle)
    broken = any(one.broken for one in taken.symptoms)
    if args.json:
        named = [{"id": one.id, "message": one.message} for one in taken.symptoms]
        times = {"p50_ms": taken.milliseconds[0], "p95_ms": taken.milliseconds[1]}
        emit_json({"out": str(taken.folder), "ok": not broken, "symptoms": named, **times})
    else:
        show(taken.folder)
        say(taken.card.notes[-1])
        say(_agreement_text(taken.agreement, None))
        for one in taken.symptoms:
            say(f"{one.id}: {one.message}")
    return EXIT_CODES["FAIL"] if broken else 0


def _export(args: argparse.Namespace) -> tuple[list[Path], dict[str, object]]:
    import msgspec

    from liftgate.services.exporting import export

    with progress() as bar:
        result = export(
            args.model,
            args.out,
            arm=args.arm,
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
    for one in result.exports if not args.json else ():
        show(one.folder)
        say(f"{one.card.format} {one.card.precision}, {one.card.n_bytes / 1e6:.1f} MB")
    for note in result.notes:
        say(f"note: {note}")
    cards = {str(one.folder): msgspec.to_builtins(one.card) for one in result.exports}
    return [one.folder for one in result.exports], {
        "out": str(result.folder),
        "exports": cards,
        "notes": list(result.notes),
    }


def _prove(args: argparse.Namespace, folders: list[Path], printed: dict[str, object]) -> int:
    from liftgate.services.export_proof import PROOF, prove_exports

    with progress() as bar:
        result = prove_exports(
            args.model,
            folders,
            args.prove,
            split=args.split,
            groups=args.groups,
            margin=args.margin,
            conf=args.conf,
            sigmas=args.sigmas,
            out=None if args.out is None else args.out / PROOF,
            open_anyway=reason_to_open(args),
            progress=bar,
        )
    printed["proof"] = result.to_dict()
    for one in result.proofs:
        say(f"{one.name}: {one.word}, {one.reason}")
        if one.cost is not None and one.agreement is not None:
            say(f"  mAP50-95 {one.cost.delta}")
            if one.keypoints is not None:
                say(f"  OKS-mAP50-95 {one.keypoints.delta}")
            say(f"  {_agreement_text(one.agreement, one.best_conf)}")
        for symptom in one.symptoms:
            say(f"  {symptom.id}: {symptom.message}")
        for note in one.notes:
            say(f"  note: {note}")
    return EXIT_CODES[result.word]


def _agreement_text(found: Agreement, best_conf: tuple[float | None, float | None] | None) -> str:
    parts = [f"{found.n_pairs} of {found.n_reference} detections paired"]
    if found.median_iou is not None and found.low_iou is not None:
        parts.append(f"boxes: median IoU {found.median_iou:.3f}, 5% below {found.low_iou:.3f}")
    if found.rank is not None:
        parts.append(f"scores: rank correlation {found.rank:.3f}")
    if best_conf is not None:
        first, second = ("none" if one is None else f"{one:.3f}" for one in best_conf)
        parts.append(f"confidence of the best F1 {first} → {second}")
    if found.same_class is not None:
        parts.append(f"classes: {found.same_class:.1%} the same")
    return "; ".join(parts)


def _size(text: str) -> int | tuple[int, int]:
    """Return a square's side, or height and width."""
    sides = [int(word) for word in text.split(",")]
    if len(sides) > 2:
        raise ValueError
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
