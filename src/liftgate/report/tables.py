"""The report as text: Markdown for an issue or a README, and its tables as CSV for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from liftgate.files import write_text
from liftgate.progress import duration
from liftgate.report import words
from liftgate.report.content import ArmContent, GateContent, ReportContent
from liftgate.report.page import class_columns, metric_names
from liftgate.stats.interval import Interval

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#"})


def render_markdown(content: ReportContent) -> str:
    """Return verdicts, what differs, figures, findings and hashes as Markdown; words from outside are escaped."""
    parts = [f"# {_plain(content.question)}", f"Study `{_code(content.study)}`"]
    for gate in content.gates:
        parts += _gate(gate)
    parts += [f"- ! {_plain(note)}" for note in content.notes]
    if content.findings:
        rows = [(one.severity, one.id, one.where, one.message) for one in content.findings]
        parts += ["## Findings", _table(("Severity", "Finding", "Where", "What"), rows)]
    if content.costs:
        costs = [(one.label, duration(one.seconds), words.money(one.usd)) for one in content.costs]
        parts += ["## Costs", _table(("Work", "Wall time", "Money"), costs)]
    if content.hashes:
        parts += [
            "## Hashes",
            "\n".join(f"- {_plain(name)} `{_code(value)}`" for name, value in content.hashes.items()),
        ]
    return "\n\n".join(parts) + "\n"


def write_tables(content: ReportContent, folder: Path) -> tuple[Path, ...]:
    """Write `GATE-figures.csv` and `GATE-classes.csv` for every gate; numbers in full, empty where there is none."""
    written = []
    for gate in content.gates:
        for name, table in (("figures", figures(gate)), ("classes", classes(gate))):
            if len(table) > 1:
                written.append(folder / f"{gate.gate.name}-{name}.csv")
                write_text(written[-1], _csv(table))
    return tuple(written)


def figures(gate: GateContent) -> list[tuple[object, ...]]:
    """One row per metric and arm, with header: value, interval and what it rests on."""
    header = ("metric", "arm", "value", "low", "high", "level", "method", "n_images", "n_groups")
    rows: list[tuple[object, ...]] = [header]
    for metric in metric_names(gate):
        for arm, evaluation in ((arm.name, arm.evaluation) for arm in gate.arms):
            if evaluation is None:
                continue
            interval = evaluation.intervals.get(metric)
            ends = (None, None) if interval is None else (interval.low, interval.high)
            basis = evaluation if interval is None else interval
            method = "" if interval is None else interval.method
            rows.append(
                (
                    metric,
                    arm,
                    evaluation.metrics.get(metric),
                    *ends,
                    basis.level,
                    method,
                    basis.n_images,
                    basis.n_groups,
                )
            )
    return rows


def classes(gate: GateContent) -> list[tuple[object, ...]]:
    """One row per class and arm, with header."""
    measured = [(arm.name, arm.evaluation) for arm in gate.arms if arm.evaluation is not None]
    if not measured:
        return [()]
    columns = class_columns(measured[0][1])
    rows: list[tuple[object, ...]] = [("class", "arm", *columns)]
    for name in measured[0][1].per_class:
        rows += [
            (name, arm, *(evaluation.per_class.get(name, {}).get(column) for column in columns))
            for arm, evaluation in measured
        ]
    return rows


def _gate(gate: GateContent) -> list[str]:
    verdict = gate.verdict
    parts = [f"## {verdict.word}: {_plain(verdict.sentence.removeprefix(f'{verdict.word}: '))}"]
    if gate.comparison:
        delta = gate.comparison.delta
        name = f"{gate.comparison.metric}, treatment − control"
        parts.append(f"{_plain(name)}: {words.signed(delta.estimate)} {_ends(delta, signed=True)}. {delta.basis}.")
    parts += [
        f"{_plain(one.metric)}: {words.number(one.value.estimate)} {_ends(one.value)} against {one.side} "
        f"{words.number(one.at_least)}: {one.word}. {one.value.basis}."
        for one in gate.claims
    ]
    limits = [
        *verdict.caveats,
        *(f"confounded: {one}" for one in (gate.comparison.differences if gate.comparison else ())),
    ]
    if limits:
        parts.append("\n".join(f"- ! {_plain(one)}" for one in limits))
    if gate.differences:
        said = {True: "yes", False: "no: confounded", None: "the gate does not say"}
        rows = [(one.field, one.control, one.treatment, said[one.declared]) for one in gate.differences]
        parts.append(_table(("Setting", "Control", "Treatment", "Meant to differ?"), rows))
    measured = [arm for arm in gate.arms if arm.evaluation]
    if measured:
        header = ("Metric", *(arm.name for arm in measured), "Interval of, sample")
        parts.append(_table(header, _figure_rows(gate, measured)))
        parts += [f"{_plain(arm.name)}: {_plain(arm.description)}" for arm in measured]
    parts.append(f"Gate hash `{_code(verdict.gate_hash)}`")
    return parts


def _figure_rows(gate: GateContent, measured: Sequence[ArmContent]) -> Iterable[Sequence[str]]:
    for name in metric_names(gate):
        cells, bases = [], []
        for arm in measured:
            assert arm.evaluation
            interval = arm.evaluation.intervals.get(name)
            value = words.number(arm.evaluation.metrics.get(name))
            cells.append(value if interval is None else f"{value} {_ends(interval)}")
            bases += [] if interval is None else [interval.basis]
        yield (name, *cells, "; ".join(dict.fromkeys(bases)))


def _ends(interval: Interval, signed: bool = False) -> str:
    if interval.low is None or interval.high is None:
        return "(interval not established)"
    write = words.signed if signed else words.number
    return f"[{write(interval.low)}, {write(interval.high)}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header)]
    cells = [[_plain(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[_plain(one) for one in lines[0]], lines[1], *cells])


def _plain(text: str) -> str:
    """Text that Markdown takes as text: no markup, no HTML, no line of its own."""
    return " ".join(text.split()).translate(_SPECIAL)


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _csv(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        ["" if cell is None else _cell(cell) for cell in row] for row in rows
    )
    return out.getvalue()


def _cell(value: object) -> str:
    """A class called `=cmd()` is a class, not a formula of whoever opens the table."""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
