"""Define and register rules. A rule finds one kind of mistake; its docstring is its page in docs/findings.

    @dataset_rule("labels.zero_area", "warning")
    def zero_area(dataset: Dataset) -> Iterator[Finding]:
        '''A box without width or height.

        Why it matters, with the real case where there is one.

        Fix: what a person does about it.
        '''
        for … in …:
            yield zero_area.finding(where, "what is wrong there, with the figures", box=[…])

The decorator registers the rule; it must be in a module of `liftgate.checks.rules`. Page and code are in one place, so
that a change of one shows the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from liftgate.checks.finding import Finding, Severity
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset

_RULES: dict[str, Rule] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the catalogue."""

    id: str
    severity: Severity
    """The usual severity of its findings"""
    others: tuple[Severity, ...]
    """Severities of its findings where the figures are worse or better than usual"""
    summary: str
    why: str
    fix: str
    find: Callable[[Subject], Iterable[Finding]]

    def finding(
        self, where: object, message: str, *, hint: str | None = None, severity: Severity | None = None, **data: Any
    ) -> Finding:
        """Return a finding of this rule.

        Args:
            where: file, file:line, data set or arm and stage.
            message: what is wrong there, with the figures.
            hint: what a person can do about it; by default the rule's `Fix:`.
            severity: by default the rule's usual one.
            data: details for programs, as JSON values.
        """
        return Finding(self.id, severity or self.severity, str(where), message, hint or self.fix, data)

    @property
    def severities(self) -> str:
        """Return its severities as text for pages and lists, the usual one first."""
        order = ("info", "warning", "error")
        text: str = self.severity
        for other in self.others:
            graver = order.index(other) > order.index(self.severity)
            text += f", or {other} where the figures are {'graver' if graver else 'milder'}"
        return text

    def __call__(self, subject: Subject) -> list[Finding]:
        """Return the findings of this rule."""
        return list(self.find(subject))


def rule(id_: str, severity: Severity, *others: Severity) -> Callable[[Callable[[Subject], Iterable[Finding]]], Rule]:
    """Return a decorator that registers a function of the whole subject as the rule `id_`; `others` as in `Rule`."""

    def register(find: Callable[[Subject], Iterable[Finding]]) -> Rule:
        if id_ in _RULES:
            raise ValueError(f"two rules are called {id_}")
        summary, why, fix = _split_docstring(find)
        _RULES[id_] = new_rule = Rule(id_, severity, others, summary, why, fix, find)
        return new_rule

    return register


def dataset_rule(
    id_: str, severity: Severity, *others: Severity
) -> Callable[[Callable[[Dataset], Iterable[Finding]]], Rule]:
    """Return a decorator that registers a function of one data set; `data["dataset"]` of each finding names it."""

    def register(find: Callable[[Dataset], Iterable[Finding]]) -> Rule:
        def for_every_dataset(subject: Subject) -> Iterator[Finding]:
            for name, dataset in subject.datasets.items():
                for finding in find(dataset):
                    yield Finding(**{**_fields(finding), "data": {"dataset": name, **finding.data}})

        for_every_dataset.__doc__ = find.__doc__
        return rule(id_, severity, *others)(for_every_dataset)

    return register


def registered() -> dict[str, Rule]:
    """Return id → rule, of the modules imported so far; `catalogue()` imports all of them."""
    return dict(sorted(_RULES.items()))


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def _split_docstring(find: Callable[..., object]) -> tuple[str, str, str]:
    """Return a docstring's summary line, its body, and the text after `Fix:`."""
    text = inspect.getdoc(find) or ""
    body, _, fix = text.partition("\nFix: ")
    summary, _, why = body.partition("\n\n")
    return summary.strip(), why.strip(), " ".join(fix.split())
