"""`liftgate compare`: the paired verdict on two detectors' predictions, by labels or by judgements, or on several."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import liftgate
from liftgate.cli.measurement_options import (
    PREDICTIONS,
    add_breakdown,
    add_label_errors,
    add_measuring,
    add_sample,
    measuring,
    of_sample,
    share_one_heap,
)
from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, show
from liftgate.cli.parser import is_given, refuse_given
from liftgate.errors import EXIT_CODES, UsageError

if TYPE_CHECKING:
    from liftgate.data.detections import PredictionsSource
    from liftgate.evaluation.records import Comparison, Comparisons
    from liftgate.judging.compare import JudgedComparison
    from liftgate.progress import Progress

_SHOWN_CLASSES = 10
_SHOWN_IMAGES = 3
_OF_LABELS = ("split", "groups", "images", "conf", "sigmas", "common", "by", "threats", "threshold", "val", "val_truth",
              "label_errors", "sample", "open_anyway", "reason")  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate compare`."""
    parser.add_argument("--truth", type=Path, help="COCO JSON, data.yaml or VOC folder")
    parser.add_argument("--control", required=True, type=Path, help=f"{PREDICTIONS}, of the old model")
    parser.add_argument(
        "--treatment", required=True, type=Path, action="append", metavar="[NAME=]TREATMENT",
        help="the same, of the new model; give it again for several: their intervals then hold all at once",
    )  # fmt: skip
    parser.add_argument("--metric", help="what to compare (default: mAP50-95; by judgements recall)")
    parser.add_argument("--margin", type=float, help="how much better is worth it (default: 0)")
    parser.add_argument(
        "--claim", choices=("better", "equal"),
        help="equal: they differ by less than the margin, by two one-sided tests (default: better)",
    )  # fmt: skip
    parser.add_argument("--rule", choices=("interval", "point"), default="interval", help="default: %(default)s")
    judging = parser.add_argument_group("without labels", "by answers about where the two differ: see `liftgate judge`")
    judging.add_argument(
        "--judgements", type=Path, action="append", metavar="FILE",
        help="answers.csv of the page, or CVAT's export (XML or zip); once for each person",
    )  # fmt: skip
    judging.add_argument("--draw", type=Path, help="draw.json of `liftgate judge` (default: beside the answers)")
    judging.add_argument(
        "--conflicts", choices=("refuse", "unsure"), default="refuse",
        help="what two people answered differently: settle it first, or count it as doubt (default: %(default)s)",
    )  # fmt: skip
    add_measuring(parser)
    add_breakdown(parser)
    add_label_errors(parser)
    add_sample(parser)
    add_open_anyway(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate compare` and return its exit code."""
    from liftgate.data.detections import prefetch

    if (args.truth is None) == (args.judgements is None):
        got = "neither" if args.truth is None else "both"
        raise UsageError("what is compared against?", expected="--truth LABELS, or --judgements answers.csv", got=got)
    if args.judgements is not None:
        return _by_judgements(args)
    refuse_given(args, ("draw", "conflicts"), "these are about answers", expected="--judgements answers.csv")
    share_one_heap()
    control = prefetch(args.control)  # while all that measures is imported
    treatments = {name: prefetch(path) for name, path in _named(args.treatment).items()}
    options = {
        "metric": args.metric or "mAP50-95",
        "margin": args.margin or 0.0,
        "rule": args.rule,
        "claim": args.claim or "better",
        "val": args.val,
    }
    result: Comparison | Comparisons
    with progress() as bar:
        if args.sample is not None:
            result = _on_sample(args, control, treatments, bar)
        elif len(treatments) == 1:
            (treatment,) = treatments.values()
            result = liftgate.compare(args.truth, control, treatment, progress=bar, **options, **measuring(args))
        else:
            result = liftgate.compare_arms(args.truth, control, treatments, progress=bar, **options, **measuring(args))
    if args.json:
        emit_json(result.to_dict())
    else:
        show(*(text(result) if len(treatments) == 1 else several(result)))  # type: ignore[arg-type]
    return EXIT_CODES[result.verdict]


def _on_sample(
    args: argparse.Namespace, control: PredictionsSource, treatments: Mapping[str, PredictionsSource], bar: Progress
) -> Comparison:
    _require_two(args, "a drawn sample compares two models, by their interval")
    (treatment,) = treatments.values()
    return liftgate.compare_sample(
        args.truth, control, treatment, args.sample, metric=args.metric or "mAP50-95", margin=args.margin or 0.0,
        claim=args.claim or "better", progress=bar, **of_sample(args),
    )  # fmt: skip


def _by_judgements(args: argparse.Namespace) -> int:
    _require_two(args, "judgements compare two models, by their interval")
    why = "the draw has fixed the images, their groups and what counts as a detection"
    refuse_given(args, _OF_LABELS, why, hint="these are for `liftgate judge`, or for --truth")
    result = liftgate.compare_judgements(
        args.draw or args.judgements[0].parent, args.judgements, args.control, args.treatment[0],
        metric=args.metric, margin=args.margin, claim=args.claim,
        level=args.level if is_given(args, "level") else None,
        conflicts_unsure=args.conflicts == "unsure",
    )  # fmt: skip
    if args.json:
        emit_json(result.to_dict())
    else:
        show(*judged_text(result))
    return EXIT_CODES[result.verdict]


def _require_two(args: argparse.Namespace, why: str) -> None:
    if args.rule != "interval":
        raise UsageError(why, got=f"--rule {args.rule}")
    if len(args.treatment) > 1:
        raise UsageError(why, got=f"{len(args.treatment)} treatments")


def judged_text(result: JudgedComparison) -> list[str]:
    """Return the lines of a comparison by judgements."""
    found, answers = result.difference, result.answers
    right, made = found.true_positives, found.detections
    missed = "unknown" if found.objects_missed is None else f"about {found.objects_missed:,.0f}"
    lines = [
        *itertools.takewhile(lambda line: not line.startswith("note: "), text(result.comparison)),
        f"{'':<16} true positives about {right[0]:,.0f} and {right[1]:,.0f} of {made[0]:,} and {made[1]:,} detections; "
        f"objects found by either about {found.objects_found:,.0f}, missed by both {missed}",
    ]
    if (shares := found.shares) is not None:
        lines.append(
            f"{'':<16} its variance: {shares.groups:.0%} between groups, {shares.disagreements:.0%} from judging only "
            f"a sample of the disagreements, {shares.agreed:.0%} from the audit of agreed pairs, {shares.missed:.0%} "
            "from that of missed objects"
        )
    if result.progress is not None:
        lines.append(f"{'':<16} {result.progress.text(result.verdict)}")
    if (kappa := answers.kappa) is not None:
        lines.append(f"{'':<16} {len(answers.people)} people, kappa {kappa} on {answers.n_shared} shared answers")
    return [*lines, *(f"note: {note}" for note in _notes(result.comparison))]


def _notes(comparison: Comparison) -> list[str]:
    return [*comparison.caveats, *([comparison.delta.note] if comparison.delta.note else [])]


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Return name → path of the treatments: the name before `=`, else the file's stem, else (if ambiguous) its path."""
    names = []
    for path in paths:
        name, equals, file = str(path).partition("=")
        names.append((name, Path(file)) if equals and not path.exists() else (path.stem, path))
    stems = [name for name, _ in names]
    found = {name if stems.count(name) == 1 else str(path): path for name, path in names}
    if len(found) < len(paths):
        raise UsageError("the same treatment twice", got=", ".join(map(str, paths)))
    return found


def text(comparison: Comparison) -> list[str]:
    """Return the lines of a comparison: the verdict, its numbers, and what limits it."""
    delta = comparison.delta
    lines = [
        f"{comparison.verdict}: {comparison.reason}",
        "",
        f"{comparison.metric:<16} control {_value(comparison.control)}, treatment {_value(comparison.treatment)}, "
        f"difference {delta.estimate:+.4f} {_bounds([delta.low, delta.high])}",
        f"{'':<16} paired: {delta.basis}"
        + (f", design effect {delta.design_effect:.2f}" if delta.design_effect is not None else "")
        + (f", worth {delta.n_effective:,.0f} independent images" if delta.n_effective is not None else ""),
        *_extras(comparison),
        *_classes(comparison),
        *_slices(comparison),
        *_images(comparison),
    ]
    if comparison.differences:
        lines += ["", "confounded, the two also differ in:", *(f"  {line}" for line in comparison.differences)]
    return [*lines, *(f"note: {note}" for note in _notes(comparison))]


def several(comparisons: Comparisons) -> list[str]:
    """Return a table with a line for each treatment, the best verdict first."""
    first = next(iter(comparisons.treatments.values()))
    lines = [
        f"{comparisons.verdict}: {comparisons.metric} of {len(comparisons.treatments)} treatments against the control "
        f"({_value(first.control)}), margin {first.margin:g}, claim {first.claim}",
        "",
        f"{'treatment':<20} {'value':>7} {'change':>8}  {'interval':<20} {'p':>6}  verdict",
    ]
    for name, one in comparisons.treatments.items():
        p = "–" if one.p_adjusted is None else f"{one.p_adjusted:.3f}"
        bounds = _bounds([one.delta.low, one.delta.high])
        word = one.verdict + (", confounded" if one.differences else "")
        numbers = f"{_value(one.treatment):>7} {one.delta.estimate:>+8.4f}  {bounds:<20} {p:>6}"
        lines.append(f"{name[:20]:<20} {numbers}  {word}")
    lines += ["", f"{first.delta.basis}; p of no difference, adjusted: {comparisons.adjustment}"]
    for name, one in comparisons.treatments.items():
        lines += [f"{name} also differs in: {'; '.join(one.differences)}"] if one.differences else []
    notes = dict.fromkeys(
        note for one in comparisons.treatments.values() for note in (*one.caveats, one.delta.note) if note
    )
    return [*lines, *(f"note: {note}" for note in notes)]


def _extras(comparison: Comparison) -> Iterator[str]:
    """Yield statistics that do not affect the verdict."""
    parts = []
    if comparison.p_value is not None:
        parts.append(f"p of no difference {comparison.p_value:.3f}")
    if comparison.probability_better is not None:
        parts.append(f"P(treatment > control) {comparison.probability_better:.3f}")
    if comparison.percentile is not None:
        parts.append(f"percentile interval {_bounds(comparison.percentile)}, to show only")
    if parts:
        yield f"{'':<16} {', '.join(parts)}"


def _classes(comparison: Comparison) -> Iterator[str]:
    moved = [(name, row) for name, row in comparison.per_class.items() if row["delta"]]
    moved.sort(key=lambda pair: -abs(pair[1]["delta"] or 0))
    if not moved:
        return
    yield from ("", f"{'class':<24} {'control':>8} {'treatment':>9} {'change':>8}  p (Holm)")
    for name, row in moved[:_SHOWN_CLASSES]:
        yield _row(name, row)
    if len(moved) > _SHOWN_CLASSES:
        yield f"and {len(moved) - _SHOWN_CLASSES} more classes that changed less"


def _slices(comparison: Comparison) -> Iterator[str]:
    from liftgate.stats.interval import sample

    if not comparison.slices:
        return
    yield from (
        "",
        f"{'slice':<24} {'control':>8} {'treatment':>9} {'change':>8}  p (Holm)  interval of the slice alone",
    )
    for name, row in comparison.slices.items():
        yield f"{_row(name, row):<63} {_bounds(row['interval'])}, {sample(row['n_images'], row['n_groups'])}"


def _images(comparison: Comparison) -> Iterator[str]:
    """Yield the images that got better and worse most."""
    for word, sign in (("better", 1), ("worse", -1)):
        rows = [row for row in comparison.images if row["change"] * sign > 0][:_SHOWN_IMAGES]
        if rows:
            yield from [""] if word == "better" else []
            shown = ", ".join(f"{row['id']} {row['control']:.2f} → {row['treatment']:.2f}" for row in rows)
            yield f"images that got {word} most: {shown}"


def _row(name: str, row: Mapping[str, Any]) -> str:
    p = "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
    change = "–" if row["delta"] is None else f"{row['delta']:+.4f}"
    return f"{name[:24]:<24} {_value(row['control']):>8} {_value(row['treatment']):>9} {change:>8}  {p}"


def _bounds(bounds: Sequence[float | None]) -> str:
    low, high = bounds
    return "not established" if low is None or high is None else f"[{low:+.4f}, {high:+.4f}]"


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
