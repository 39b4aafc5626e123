"""What binds a merged set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.provenance.licences import (
    OBLIGATIONS,
    Terms,
    canonical_licence,
    merge_terms,
    obligations,
    sharing_obstacle,
    strictest,
)

licences = st.one_of(st.none(), st.sampled_from(sorted(OBLIGATIONS)), st.just("Acme-1"))


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("MIT",), "MIT"),
        (("CC0-1.0", "MIT", "CC-BY-4.0"), "CC-BY-4.0"),
        (("CC-BY-4.0", "CC-BY-NC-4.0"), "CC-BY-NC-4.0"),
        (("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"), "CC-BY-NC-SA-4.0"),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), "CC-BY-NC-4.0 AND CC-BY-SA-4.0"),
        (("MIT", "BSD-3-Clause"), "BSD-3-Clause AND MIT"),
        (("CC-BY-4.0", "proprietary"), "proprietary"),
        (("MIT", None), None),
        (("proprietary", "unknown"), None),
        (("CC-BY-4.0", "Acme-1"), "Acme-1 AND CC-BY-4.0"),
    ],
)
def test_the_strictest_part_binds_the_whole(parts: tuple[str | None, ...], whole: str | None) -> None:
    assert strictest(*parts) == whole


@given(st.lists(licences, min_size=1, max_size=5), st.randoms())
def test_neither_order_nor_repetition_nor_merging_in_steps_matters(parts: list[str | None], random) -> None:  # type: ignore[no-untyped-def]
    whole = strictest(*parts)
    shuffled = parts + parts[:2]
    random.shuffle(shuffled)
    assert strictest(*shuffled) == whole
    assert strictest(strictest(*parts[:2]), *parts[2:]) == whole


@given(st.lists(licences, min_size=1, max_size=5))
def test_a_merged_set_obliges_to_all_that_its_parts_do(parts: list[str | None]) -> None:
    whole, each = obligations(strictest(*parts)), [obligations(part) for part in parts]
    if any(part is None for part in each):
        assert whole is None
    else:
        assert set(whole or ()) == {duty for part in each for duty in part or ()}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        ("BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("MIT License", "MIT"),
        ("ODbL v1.0", "ODbL-1.0"),
        ("Public Domain", "public-domain"),
        ("Private", "proprietary"),
        ("Unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_licences_are_known_as_people_and_platforms_write_them(text: str | None, name: str | None) -> None:
    assert canonical_licence(text) == name


def test_one_confidential_part_makes_the_whole_confidential() -> None:
    assert merge_terms([Terms("MIT"), Terms("MIT", confidential=True)]).confidential


def test_one_real_part_makes_the_whole_real() -> None:
    assert merge_terms([Terms("MIT", "synthetic"), Terms("MIT")]).origin == "real"
    assert merge_terms([Terms("MIT", "synthetic")] * 2).origin == "synthetic"


def test_consent_is_known_only_where_it_is_for_every_real_part() -> None:
    said, unsaid, rendered = Terms(consent="signed 2026"), Terms(), Terms(origin="synthetic")
    assert merge_terms([said, rendered]).consent == "signed 2026"
    assert merge_terms([said, unsaid]).consent is None


def test_nothing_merged_from_nothing() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        merge_terms([])


@pytest.mark.parametrize(
    ("licence", "why"),
    [
        ("CC-BY-4.0", None),
        ("BSD-3-Clause AND MIT", None),
        (None, "unknown"),
        ("proprietary", "proprietary"),
        ("CC-BY-NC-4.0 AND CC-BY-SA-4.0", "both cannot be met"),
        ("CC-BY-ND-4.0", "unchanged only"),
    ],
)
def test_whether_the_whole_may_be_passed_on(licence: str | None, why: str | None) -> None:
    said = sharing_obstacle(licence)
    assert said is None if why is None else why in str(said)
