"""Messages of errors: one line for each part, of a length that a terminal takes."""

from __future__ import annotations

from liftgate.errors import DataError


def test_a_name_of_a_megabyte_is_cut_in_its_middle() -> None:
    text = str(DataError("no such image", where="a" * 1_000_000 + ".jpg", got="b" * 5000, hint="c\n" * 5000))
    assert len(text) < 12_000
    assert "a … a" in text and ".jpg)" in text and "b … b" in text
    assert text.count("\n") == 1, "only the hint has a line of its own"


def test_a_name_that_a_disk_takes_is_whole() -> None:
    assert "x" * 255 in str(DataError("no such image", where="x" * 255))
