"""Tables for a paper: LaTeX `tabular` (package booktabs), rounded as on the page, with sample and method below."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.evaluation.records import Evaluation
from liftgate.reporting import number_format
from liftgate.reporting.content import GateContent, ReportContent
from liftgate.reporting.page import class_columns, gate_metrics, interval_basis, metric_names, seeds_of
from liftgate.stats.interval import Interval, percent, sample
from liftgate.visible import visible_line

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u2212": "$-$",
    "\u2013": "--",
    "≈": r"$\approx$",
    "→": r"$\to$",
}


def verdict_table(content: ReportContent) -> str:
    """Return every gate: the measured value with its interval, the threshold, the verdict."""
    rows = []
    for gate in content.gates:
        word = gate.verdict.word
        if gate.comparison:
            delta, of = gate.comparison.delta, f"{gate.gate.treatment} \u2212 {gate.gate.control}"
            equal = gate.comparison.claim == "equal"
            threshold = (
                f"within {number_format.number(gate.comparison.margin)}"
                if equal
                else f"margin {number_format.signed(gate.comparison.margin)}"
            )
            rows.append((gate.gate.name, gate.comparison.metric, of, _signed(delta), threshold, word, delta.basis))
        for one in gate.claims:
            threshold = f"{one.side} {number_format.number(one.at_least)}"
            arm = gate.gate.arm or ""
            rows.append((gate.gate.name, one.metric, arm, _with_ends(one.value), threshold, one.word, one.value.basis))
    return _tabular("lllrlll", ("Gate", "Metric", "Of", "Value", "Asked for", "Verdict", "Interval of"), rows)


def figure_table(gate: GateContent) -> str:
    """Return every metric of a gate's arms, of the first seed."""
    measured = [(arm.name, arm.evaluation) for arm in gate.arms if arm.evaluation]
    rows = [
        (name, *(_figure(evaluation, name) for _, evaluation in measured), _method([e for _, e in measured], name))
        for name in metric_names(gate)
    ]
    header = ("Metric", *(arm for arm, _ in measured), "Interval by")
    return _tabular("l" + "r" * len(measured) + "l", header, rows, (*_of_seed(gate), _basis(gate, measured[0][1], "")))


def seed_table(gate: GateContent) -> str:
    """Return the gate's own metrics, of every seed."""
    measured = [arm for arm in gate.arms if arm.evaluation]
    rows = [
        (name, str(seed), *(_figure(arm.of_seed(seed), name) for arm in measured))
        for name in gate_metrics(gate)
        for seed in seeds_of(measured)
    ]
    first = measured[0].evaluation
    assert first
    found = (first.intervals.get(name) for name in gate_metrics(gate))
    methods = dict.fromkeys(interval.method for interval in found if interval is not None)
    below = (_basis(gate, first, f" by {', '.join(methods)}" if methods else ""),)
    return _tabular("lr" + "r" * len(measured), ("Metric", "Seed", *(arm.name for arm in measured)), rows, below)


def class_table(gate: GateContent) -> str:
    """Return every class of a gate's arms, of the first seed."""
    measured = [(arm.name, arm.evaluation) for arm in gate.arms if arm.evaluation]
    first = measured[0][1]
    columns = class_columns(first)
    rows = [
        (name, arm, *(number_format.number(evaluation.per_class.get(name, {}).get(column)) for column in columns))
        for name in first.per_class
        for arm, evaluation in measured
    ]
    of = sample(first.n_images, first.n_groups)
    below = (*_of_seed(gate), f"On {gate.gate.on}: {of}; point values, no intervals.")
    return _tabular("ll" + "r" * len(columns), ("Class", "Arm", *columns), rows, below)


def escape_latex(text: str) -> str:
    r"""Return text that LaTeX prints as it is.

    >>> escape_latex("AP_50 & 5%")
    'AP\\_50 \\& 5\\%'
    """
    escaped = "".join(_SPECIAL.get(character, character) for character in visible_line(" ".join(text.split())))
    # After the line break that ends a row, [ would begin a length and * be part of the command.
    return "{}" + escaped if escaped.startswith(("[", "*")) else escaped


def _tabular(columns: str, header: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()) -> str:
    lines = [" & ".join(map(escape_latex, row)) + r" \\" for row in (header, *rows)]
    notes = [rf"\multicolumn{{{len(header)}}}{{l}}{{\footnotesize {escape_latex(note)}}} \\" for note in below if note]
    parts = [
        "% \\usepackage{booktabs}; written by Liftgate from its ledger",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        lines[0],
        r"\midrule",
        *lines[1:],
        r"\bottomrule",
        *notes,
        r"\end{tabular}",
    ]
    return "\n".join(parts) + "\n"


def _of_seed(gate: GateContent) -> tuple[str, ...]:
    found = seeds_of(gate.arms)
    return (f"Of seed {found[0]}; the seeds were {', '.join(map(str, found))}.",) if len(found) > 1 else ()


def _basis(gate: GateContent, evaluation: Evaluation, by: str) -> str:
    of = sample(evaluation.n_images, evaluation.n_groups)
    return f"On {gate.gate.on}: {of}; {percent(evaluation.level)} intervals over groups{by}."


def _figure(evaluation: Evaluation | None, name: str) -> str:
    if evaluation is None:
        return number_format.MISSING
    interval = evaluation.intervals.get(name)
    return number_format.number(evaluation.metrics.get(name)) if interval is None else _with_ends(interval)


def _method(evaluations: Sequence[Evaluation], name: str) -> str:
    """Return the interval's method, and its sample where that is not the sample of the whole table."""
    interval, methods = interval_basis(evaluations, name)
    if interval is None:
        return "not defined here" if evaluations[0].metrics.get(name) is None else "point value"
    method = ", ".join(methods) or "not established"
    whole = (interval.n_images, interval.n_groups) == (evaluations[0].n_images, evaluations[0].n_groups)
    return method if whole else f"{method}, {sample(interval.n_images, interval.n_groups)}"


def _with_ends(value: Interval) -> str:
    ends = f" [{number_format.number(value.low)}, {number_format.number(value.high)}]" if value.established else ""
    return number_format.number(value.estimate) + ends


def _signed(value: Interval) -> str:
    ends = f" [{number_format.signed(value.low)}, {number_format.signed(value.high)}]" if value.established else ""
    return number_format.signed(value.estimate) + ends
