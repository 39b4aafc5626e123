"""The README.md of a data set: for people, and for the next tool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.provenance.card import Card, build_card, card_text, read_card, write_card
from liftgate.data.provenance.licences import Terms
from liftgate.errors import DataError, Refused


def dataset(**changes: object) -> Dataset:
    images = (
        Image("a.jpg", Path("/somewhere/a.jpg"), 10, 10, "train", "v1"),
        Image("b.jpg", Path("/somewhere/b.jpg"), 10, 10, "train", "v1"),
        Image("c.jpg", Path("/somewhere/c.jpg"), 10, 10),
    )
    labels = Labels.build([0, 0, 2], [0, 1, 1], [[0, 0, 5, 5]] * 3)
    made = Dataset("cats", Path("/somewhere"), Path("/somewhere/d"), "voc", ("cat", "dog", "cow"), images, labels)
    return replace(made, licence="CC BY 4.0", **changes)  # type: ignore[arg-type]


def test_a_card_holds_counts_terms_and_hashes(tmp_path: Path) -> None:
    write_card(build_card(dataset(), "liftgate data convert", consent="signed"), tmp_path)
    read = read_card(tmp_path)
    assert read is not None
    assert read.terms == Terms("CC-BY-4.0", "real", False, "signed")
    assert read.counts == {
        "train": {"images": 2, "groups": 1, "objects": 2},
        "unsplit": {"images": 1, "groups": 1, "objects": 1},
    }
    assert read.objects == {"cat": 1, "dog": 2, "cow": 0}
    assert read.hashes["labels"] == dataset().truth_hash()


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = build_card(dataset(), "x", parts=[("one", Terms("MIT")), ("two", Terms(None, "synthetic", True))])
    write_card(made, tmp_path)
    assert read_card(tmp_path) == made


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_whatever_the_names_a_card_comes_back(name: str, made_by: str, cls: str) -> None:
    import tempfile

    made = Card(
        name,
        made_by,
        Terms(cls, consent=name or None),
        (cls,),
        {cls: {"images": 1, "groups": 1, "objects": 1}},
        {cls: 1},
    )
    with tempfile.TemporaryDirectory() as folder:
        write_card(made, Path(folder))
        assert read_card(Path(folder)) == made


def test_the_same_data_give_the_same_bytes_without_a_path_of_this_machine() -> None:
    text = card_text(build_card(dataset(), "x"))
    assert text == card_text(build_card(replace(dataset(), root=Path("/else")), "x"))
    assert "/somewhere" not in text


def test_a_merged_set_gets_the_strictest_terms_of_its_parts() -> None:
    parts = [("one", Terms("MIT", consent="signed")), ("two", Terms("CC-BY-NC-4.0", confidential=True))]
    made = build_card(replace(dataset(), licence=None), "merge", parts=parts)
    assert made.terms == Terms("CC-BY-NC-4.0", "real", True, None)
    text = card_text(made)
    assert "no commercial use" in text and "nothing of it may leave this machine" in text


def test_an_unknown_licence_is_said_loudly() -> None:
    assert "unknown: ask before you use it" in card_text(build_card(replace(dataset(), licence=None), "x"))


def test_a_readme_that_somebody_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(Refused, match="did not write"):
        write_card(build_card(dataset(), "x"), tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    assert read_card(tmp_path) is None


def test_our_own_card_is_written_anew(tmp_path: Path) -> None:
    write_card(build_card(dataset(), "one"), tmp_path)
    write_card(build_card(dataset(), "two"), tmp_path)
    read = read_card(tmp_path)
    assert read is not None and read.made_by == "two"


@pytest.mark.parametrize("text", ["---\nliftgate-card: 5\n---\n", "---\nliftgate-card: {name: [}\n---\n"])
def test_a_damaged_card_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(DataError, match="head cannot be read"):
        read_card(tmp_path)


def test_a_strangers_class_name_cannot_break_the_table_or_become_html() -> None:
    bad = replace(dataset(), classes=("a|b", "<script>x</script>", "c\nd"))
    body = card_text(build_card(bad, "x")).split("\n---\n")[1]
    assert "<script>" not in body and "a\\|b" in body and "c d" in body
