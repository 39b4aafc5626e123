"""Licences against each other, and against what the study says that its model is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject


def conflicts(small: SmallSet, licence: str, **study: object) -> list[Finding]:
    subject = Subject({"small": replace(small.read(), licence=licence)}, small.study(**study))
    return [finding for finding in run(subject, select=["licence.conflict"]).findings if "control" in finding.where]


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "BY-NC-SA 4.0", "research-only", "CC-BY-4.0 AND CC-BY-NC-4.0"])
def test_commercial_use_of_data_that_forbid_it_is_a_contradiction(small: SmallSet, licence: str) -> None:
    (found,) = conflicts(small, licence, use="commercial", backend="toy")
    assert found.severity == "error"
    assert "use: commercial" in found.message and licence in found.message


def test_words_of_a_licence_that_nobody_knows_are_a_suspicion(small: SmallSet) -> None:
    (found,) = conflicts(small, "Acme, non-commercial", use="commercial", backend="toy")
    assert found.severity == "warning"


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "CC0-1.0", "own", "Acme-1", "MIT", "proprietary", "Fancy License"])
@pytest.mark.parametrize("use", ["commercial", "research", None])
def test_what_allows_commerce_or_is_ones_own_is_no_conflict(small: SmallSet, licence: str, use: str | None) -> None:
    assert conflicts(small, licence, use=use, backend="toy") == []


def test_research_may_begin_from_agpl_weights_and_an_unsaid_use_is_asked_for(small: SmallSet) -> None:
    assert conflicts(small, "CC-BY-NC-4.0", use="research") == []
    (found,) = conflicts(small, "CC-BY-NC-4.0")
    assert "AGPL" in found.message and "use: research" in found.hint


def test_a_contradiction_is_told_once(small: SmallSet) -> None:
    assert [found.severity for found in conflicts(small, "CC-BY-NC-4.0", use="commercial")] == ["error"]


def test_no_derivatives_is_said_whatever_the_use(small: SmallSet) -> None:
    (found,) = conflicts(small, "CC-BY-ND-4.0", use="research", backend="toy")
    assert "no derivatives" in found.message
