"""The HTML page: one file that needs nothing beside it, from a ReportContent that lacks nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.evaluation.records import Evaluation
from liftgate.files import write_text
from liftgate.progress import duration
from liftgate.reporting import drawing, number_format
from liftgate.reporting.content import ArmContent, DrawnBox, Gallery, GateContent, Picture, ReportContent
from liftgate.stats.interval import Interval, percent, sample
from liftgate.study.vocabulary import METRICS

if TYPE_CHECKING:
    from jinja2 import Environment

VERDICT_SIGNS = {"PASS": "✓", "MARGINAL": "≈", "FAIL": "✕"}
"""A verdict is told by word, sign and colour, so that none of the three is needed."""
N_LINE_STYLES = 6
"""Looks of lines in style.css; a seventh line looks like the first."""
_MOST_WORDS = 14
"""Boxes of truth and detections together that a picture names"""
_CLASS_COLUMNS = ("n_objects", "AP50-95", "AP50", "recall", "precision", "n_detections")


def render(content: ReportContent, path: Path) -> Path:
    """Write the report to `path` as one self-contained HTML file and return `path`.

    The file opens offline, asks nobody for anything, and forbids itself to (Content-Security-Policy). The same content
    gives the same bytes.
    """
    write_text(path, render_html(content))
    return path


def render_html(content: ReportContent) -> str:
    """Return the page as text; every word that came from outside is escaped."""
    return environment().get_template("report.html.j2").render(content=content)


@cache
def environment() -> Environment:
    """Templates of this room with its filters. `autoescape` is on for everything: names come from strangers."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("liftgate.reporting"),
        autoescape=True,
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
    made.filters["breakable"] = _breakable
    made.filters["with_code"] = _with_code
    made.filters["without_word"] = _without_word
    made.filters["data_uri"] = _data_uri
    made.filters["inline"] = _inline
    made.filters["csp_hash"] = _csp_hash
    made.globals.update(
        place_chart=drawing.place_chart,
        place_interval=drawing.place_interval,
        Reference=drawing.Reference,
        number=number_format.number,
        sample=sample,
        signed=number_format.signed,
        verdict_signs=VERDICT_SIGNS,
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
    )
    return made


def metric_names(gate: GateContent) -> list[str]:
    """Metrics of a gate's evaluations: the gate's own first, then in METRICS' order (JSON sorts its keys)."""
    names = dict.fromkeys(name for arm in gate.arms if arm.evaluation for name in arm.evaluation.metrics)
    asked = gate_metrics(gate)
    return sorted(names, key=lambda name: (_place(name, asked), _place(name, METRICS)))


class IntervalBasis(NamedTuple):
    """What the intervals of one metric of several arms rest on."""

    interval: Interval | None
    """The first that is established, else the first; None: the metric has none"""
    methods: tuple[str, ...]
    """Of those that are established"""


def interval_basis(evaluations: Iterable[Evaluation], name: str) -> IntervalBasis:
    """Return what the intervals of a metric rest on: one arm may have none where another has."""
    found = [one.intervals[name] for one in evaluations if name in one.intervals]
    established = [interval for interval in found if interval.established]
    return IntervalBasis(
        next(iter((*established, *found)), None), tuple(dict.fromkeys(one.method for one in established))
    )


def undefined_metrics(gate: GateContent) -> list[str]:
    """Metrics that nobody asked about and that have no value for any arm: a row of dashes says less than one line."""
    known = {name for arm in gate.arms if arm.evaluation for name, v in arm.evaluation.metrics.items() if v is not None}
    return [name for name in metric_names(gate) if name not in known and name not in gate_metrics(gate)]


def gate_metrics(gate: GateContent) -> list[str]:
    """What the gate itself is about."""
    return [gate.gate.metric] if gate.gate.metric else [claim.metric for claim in gate.gate.claims]


def seeds_of(arms: Sequence[ArmContent]) -> list[int]:
    """Every seed that one of the arms was trained with."""
    return sorted({seed for arm in arms for seed in arm.by_seed})


def class_columns(evaluation: Evaluation) -> list[str]:
    """Figures of each class, in the order to read."""
    found = dict.fromkeys(name for row in evaluation.per_class.values() for name in row)
    return sorted(found, key=lambda name: _place(name, _CLASS_COLUMNS))


def has_one_class(gallery: Gallery) -> bool:
    """Whether naming the class beside every box would say nothing."""
    boxes = (box for one in gallery.pictures for row in (one.truth, *(p.boxes for p in one.panels)) for box in row)
    return len({box.label for box in boxes}) == 1


def is_crowded(picture: Picture, boxes: Sequence[DrawnBox]) -> bool:
    """Whether words at all boxes would lie on each other."""
    return len(picture.truth) + len(boxes) > _MOST_WORDS


def has_crowded_picture(gallery: Gallery) -> bool:
    """Whether a picture of a gallery goes without words."""
    return any(is_crowded(one, panel.boxes) for one in gallery.pictures for panel in one.panels)


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _without_word(sentence: str, word: str) -> str:
    """The sentence as it stands below the verdict's word, which need not be said twice."""
    return sentence.removeprefix(f"{word}: ")


def _breakable(name: str) -> str:
    """A name that a phone may break where it has a dot or an underscore."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([_.])(?=.)", r"\1<wbr>", str(escape(name))))


def _with_code(text: str) -> str:
    """Words between backticks as code; everything else, and they, escaped."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:  # one backtick alone quotes nothing
        return escape(text)
    return Markup().join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _inline(name: str) -> str:
    """Text of a stylesheet or script of this room: ours, so it is not escaped."""
    from markupsafe import Markup

    return Markup(_source(name))


def _csp_hash(name: str) -> str:
    """What the page's policy allows to run: this script and no other."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(_source(name).encode()).digest()).decode() + "'"


@cache
def _source(name: str) -> str:
    source, _, _ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
    return source
