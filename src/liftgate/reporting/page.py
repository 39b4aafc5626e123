"""The HTML page of a study: one self-contained file, from a ReportContent."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.evaluation.records import Evaluation
from liftgate.files import write_text
from liftgate.progress import duration
from liftgate.reporting import drawing, number_format
from liftgate.reporting.content import (
    ArmContent,
    DrawnBox,
    Gallery,
    GateContent,
    ImageBrowser,
    Picture,
    ReportContent,
    ThresholdCurve,
)
from liftgate.reporting.plain_answer import no_answer, plain_answer
from liftgate.stats.interval import Interval, percent, sample
from liftgate.study.vocabulary import METRICS
from liftgate.visible import visible_text

if TYPE_CHECKING:
    from jinja2 import Environment

VERDICT_SIGNS = {"PASS": "✓", "MARGINAL": "≈", "FAIL": "✕"}
"""A verdict has a word, a sign and a colour, so that it can be read without any one of them."""
N_LINE_STYLES = 6
"""Line styles in style.css; the seventh line has the first style again."""
SHOWN_MISTAKES = 20
"""Suspected mistakes in labels that a page lists"""
MISTAKES_NEXT = (
    "`liftgate check STUDY --review DIR` writes a page with a picture of each, to accept or reject them by keyboard; "
    "a model may be wrong where a label is right."
)
AMOUNT_KINDS = {"new": "some of the groups", "old": "a part of every group", "all": "all"}
"""What `worth` trained on, in words"""
_MOST_WORDS = 14
"""Labels in one picture at most, of truth and detections together"""
_CLASS_COLUMNS = ("n_objects", "AP50-95", "AP50", "recall", "precision", "n_detections")


def render(content: ReportContent, path: Path) -> Path:
    """Write the report to `path` as one self-contained HTML file and return `path`.

    The file works offline, and its Content-Security-Policy forbids every request. The same content gives the same
    bytes.
    """
    write_text(path, render_html(content))
    return path


def render_html(content: ReportContent) -> str:
    """Return the page as text. Names and messages are escaped: they come from other people's files."""
    return environment().get_template("report.html.j2").render(content=content)


@cache
def environment() -> Environment:
    """Return the templates of this room with its filters. Autoescape is on: names come from other people's files."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("liftgate.reporting"),
        autoescape=True,
        finalize=lambda value: visible_text(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        number_format.number,
        number_format.signed,
        percent,
        number_format.score,
        number_format.tick,
        number_format.reading,
        duration,
        number_format.money,
    ):
        made.filters[function.__name__] = function
    made.filters["share_of"] = drawing.share_of
    made.filters["curve_json"] = _curve_json
    made.filters["browser_data"] = _browser_data
    made.filters["breakable"] = _breakable
    made.filters["with_code"] = _with_code
    made.filters["without_word"] = _without_word
    made.filters["data_uri"] = _data_uri
    made.filters["inline"] = _inline
    made.filters["csp_hash"] = _csp_hash
    made.globals.update(
        place_chart=drawing.place_chart,
        place_interval=drawing.place_interval,
        place_forest=drawing.place_forest,
        Reference=drawing.Reference,
        number=number_format.number,
        sample=sample,
        signed=number_format.signed,
        verdict_signs=VERDICT_SIGNS,
        plain_answer=plain_answer,
        no_answer=no_answer,
        class_columns=class_columns,
        has_one_class=has_one_class,
        is_crowded=is_crowded,
        has_crowded_picture=has_crowded_picture,
        metric_names=metric_names,
        undefined_metrics=undefined_metrics,
        interval_basis=interval_basis,
        gate_metrics=gate_metrics,
        seeds_of=seeds_of,
        n_line_styles=N_LINE_STYLES,
        shown_mistakes=SHOWN_MISTAKES,
        mistakes_next=MISTAKES_NEXT,
        amount_kinds=AMOUNT_KINDS,
    )
    return made


def metric_names(gate: GateContent) -> list[str]:
    """Return the metrics of a gate's evaluations: the gate's own first, then in the order of METRICS."""
    names = dict.fromkeys(name for arm in gate.arms if arm.evaluation for name in arm.evaluation.metrics)
    asked = gate_metrics(gate)
    return sorted(names, key=lambda name: (_place(name, asked), _place(name, METRICS)))


class IntervalBasis(NamedTuple):
    """Method and sample of the intervals of one metric, over several arms."""

    interval: Interval | None
    """The first established interval, else the first; None: the metric has none."""
    methods: tuple[str, ...]
    """Methods of the established intervals"""


def interval_basis(evaluations: Iterable[Evaluation], name: str) -> IntervalBasis:
    """Return method and sample of a metric's intervals: one arm may have an interval where another has none."""
    found = [one.intervals[name] for one in evaluations if name in one.intervals]
    established = [interval for interval in found if interval.established]
    return IntervalBasis(
        next(iter((*established, *found)), None), tuple(dict.fromkeys(one.method for one in established))
    )


def undefined_metrics(gate: GateContent) -> list[str]:
    """Return the metrics without a value in any arm, except the gate's own: one line names them all."""
    known = {name for arm in gate.arms if arm.evaluation for name, v in arm.evaluation.metrics.items() if v is not None}
    return [name for name in metric_names(gate) if name not in known and name not in gate_metrics(gate)]


def gate_metrics(gate: GateContent) -> list[str]:
    """Return the metrics that the gate itself names."""
    return [gate.gate.metric] if gate.gate.metric else [claim.metric for claim in gate.gate.claims]


def seeds_of(arms: Sequence[ArmContent]) -> list[int]:
    """Return every seed that one of the arms was trained with."""
    return sorted({seed for arm in arms for seed in arm.by_seed})


def class_columns(evaluation: Evaluation) -> list[str]:
    """Return the columns of the table of classes, in order."""
    found = dict.fromkeys(name for row in evaluation.per_class.values() for name in row)
    return sorted(found, key=lambda name: _place(name, _CLASS_COLUMNS))


def has_one_class(gallery: Gallery) -> bool:
    """Return whether all boxes of a gallery have one class, which need not be written at each."""
    boxes = (box for one in gallery.pictures for row in (one.truth, *(p.boxes for p in one.panels)) for box in row)
    return len({box.label for box in boxes}) == 1


def is_crowded(picture: Picture, boxes: Sequence[DrawnBox]) -> bool:
    """Return whether a picture has too many boxes to label them."""
    return len(picture.truth) + len(boxes) > _MOST_WORDS


def has_crowded_picture(gallery: Gallery) -> bool:
    """Return whether a picture of a gallery has too many boxes to label them."""
    return any(is_crowded(one, panel.boxes) for one in gallery.pictures for panel in one.panels)


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _without_word(sentence: str, word: str) -> str:
    """Return the sentence without the verdict's word, which is shown above it."""
    return sentence.removeprefix(f"{word}: ")


def _breakable(name: str) -> str:
    """Return a name that may be wrapped after a dot or an underscore."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([_.])(?=.)", r"\1<wbr>", str(escape(visible_text(name)))))


def _with_code(text: str) -> str:
    """Return text with what is between backticks as code and options in one piece; all of it escaped."""
    from markupsafe import Markup, escape

    text = visible_text(text)
    parts = text.split("`")
    quoted = len(parts) % 2 == 1  # one backtick alone quotes nothing
    marked = Markup().join(
        Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts if quoted else [text])
    )
    return Markup(re.sub(r"(?<![\w-])--[a-z][a-z-]*", r'<span class="option">\g<0></span>', str(escape(marked))))


def _curve_json(curves: Sequence[ThresholdCurve]) -> str:
    """Return the counts that the page's slider reads, as JSON; the template escapes it."""
    return json.dumps([asdict(one) for one in curves], separators=(",", ":"))


def _browser_data(browser: ImageBrowser) -> list[dict[str, object]]:
    """Return what the page's image browser reads, with names made visible."""
    return [
        {
            "name": visible_text(one.picture.name),
            "group": visible_text(one.picture.group or ""),
            "width": one.picture.width,
            "height": one.picture.height,
            "jpeg": None if one.picture.jpeg is None else _data_uri(one.picture.jpeg),
            "truth": _browser_boxes(one.picture.truth),
            "panels": [
                {"arm": visible_text(panel.arm), "boxes": _browser_boxes(panel.boxes)} for panel in one.picture.panels
            ],
            "note": visible_text(one.picture.note),
            "classes": [visible_text(name) for name in one.classes],
            "kinds": list(one.kinds),
            "change": one.change,
            "random": one.at_random,
        }
        for one in browser.images
    ]


def _browser_boxes(boxes: Iterable[DrawnBox]) -> list[dict[str, object]]:
    return [
        {
            "xyxy": [number_format.coordinate(value) for value in box.xyxy],
            "label": visible_text(box.label),
            "score": box.score,
            "points": [[number_format.coordinate(value) for value in point] for point in box.points],
        }
        for box in boxes
    ]


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _inline(name: str) -> str:
    """Return a stylesheet or script of this room, which is not escaped."""
    from markupsafe import Markup

    return Markup(_source(name))


def _csp_hash(name: str) -> str:
    """Return the hash by which the page's policy allows this script and no other."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(_source(name).encode()).digest()).decode() + "'"


@cache
def _source(name: str) -> str:
    source, _, _ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
    return source
