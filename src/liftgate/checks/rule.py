"""Rule: one thing that can be wrong, and the function that looks for it. A rule's docstring is its page.

    @dataset_rule("labels.zero_area", "warning")
    def zero_area(dataset: Dataset) -> Iterator[Finding]:
        '''A box without width or height.

        Why it matters, with the real case where there is one.

        Fix: what a person does about it.
        '''
        for … in …:
            yield zero_area.finding(where, "what is wrong there, with the figures", box=[…])

A rule is registered by being decorated in a module of `liftgate.checks.rules`; no list has to be kept.
(Text and code are in one place so that they stay true to each other.)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from liftgate.checks.finding import Finding, Severity
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset

_REGISTER: dict[str, Rule] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the catalogue."""

    id: str
    severity: Severity
    """What it reports usually."""
    others: tuple[Severity, ...]
    """What it reports where the figures are graver or milder."""
    summary: str
    why: str
    fix: str
    find: Callable[[Subject], Iterable[Finding]]

    def finding(
        self, where: object, message: str, *, hint: str | None = None, severity: Severity | None = None, **data: Any
    ) -> Finding:
        """Make a finding of this rule; `hint` defaults to how to fix it."""
        return Finding(self.id, severity or self.severity, str(where), message, hint or self.fix, data)

    @property
    def severities(self) -> str:
        """Return every severity that it reports, the usual one first, as pages and lists show it."""
        return self.severity + (f", or {' or '.join(self.others)} where the figures are" if self.others else "")

    def __call__(self, subject: Subject) -> list[Finding]:
        """Return what this rule finds."""
        return list(self.find(subject))


def rule(id_: str, severity: Severity, *others: Severity) -> Callable[[Callable[[Subject], Iterable[Finding]]], Rule]:
    """Return a decorator that registers a function over the whole subject as the rule `id_`."""

    def register(find: Callable[[Subject], Iterable[Finding]]) -> Rule:
        if id_ in _REGISTER:
            raise ValueError(f"two rules are called {id_}")
        summary, why, fix = _page(find)
        _REGISTER[id_] = made = Rule(id_, severity, others, summary, why, fix, find)
        return made

    return register


def dataset_rule(
    id_: str, severity: Severity, *others: Severity
) -> Callable[[Callable[[Dataset], Iterable[Finding]]], Rule]:
    """Return a decorator that registers a function over one data set; each finding's data names it."""

    def register(find: Callable[[Dataset], Iterable[Finding]]) -> Rule:
        def over_all(subject: Subject) -> Iterator[Finding]:
            for name, dataset in subject.datasets.items():
                for finding in find(dataset):
                    yield Finding(**{**_fields(finding), "data": {"dataset": name, **finding.data}})

        over_all.__doc__ = find.__doc__
        return rule(id_, severity, *others)(over_all)

    return register


def registered() -> dict[str, Rule]:
    """Return every rule that has been imported, by id. `catalogue()` imports them all."""
    return dict(sorted(_REGISTER.items()))


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def _page(find: Callable[..., object]) -> tuple[str, str, str]:
    """Split a docstring into its first line, its body and what follows `Fix:`."""
    text = inspect.getdoc(find) or ""
    body, _, fix = text.partition("\nFix: ")
    summary, _, why = body.partition("\n\n")
    return summary.strip(), why.strip(), " ".join(fix.split())
