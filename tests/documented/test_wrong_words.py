"""Documented commands with every word wrong in turn: one error that leads to the right one, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from documented.extract import Command
from documented.test_commands import COMMANDS, make_words
from liftgate.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documented")]

FREE = {
    "--out",
    "--page",
    "--picture",
    "--mend",
    "--reason",
    "--name",
    "--as",
    "--version",
    "--groups-out",
    "--seed",
    "--review",
}
"""Options whose values are new names, sentences, or any number"""
MADE = {("watch", "--log"), ("serve", "--log")}
"""Verbs that make what they are told to write into"""


class Wrong(NamedTuple):
    """A command with one wrong word."""

    words: list[str]
    typed: str
    right: str

    def __str__(self) -> str:
        return f"{' '.join(self.words)} (for {self.right})"


def mistyped(word: str) -> str:
    """Exchange two letters in the middle, as fingers do."""
    place = next(
        (i for i in range(len(word) // 2, len(word) - 1) if word[i : i + 2].isalpha() and word[i] != word[i + 1]), None
    )
    if place is None:
        return word + "x"
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def wrong_ones(words: list[str], world: Path) -> Iterator[Wrong]:
    """Yield the command with each word wrong: verb, options, paths, numbers, regexes."""
    option = ""
    for place, word in enumerate(words):
        before, option = option, word if word.startswith("--") else option
        if word.startswith("--"):
            other = mistyped(word)
        elif before in FREE or (words[0], before) in MADE:
            continue
        elif place == 0 or (world / word).exists():
            other = mistyped(word.rstrip("/"))
        elif re.fullmatch(r"[\d.]+", word):
            other = f"{word}x"
        elif "(?P<" in word:
            other = word.replace(")", "", 1)
        else:
            continue
        yield Wrong([*words[:place], other, *words[place + 1 :]], other, word)


def files(world: Path) -> set[Path]:
    return {path for path in world.rglob("*") if ".cache" not in path.parts}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_word_wrong_is_one_error_with_a_way_out(
    command: Command, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.setenv("MODEL_KEY", "a-key")
    words = make_words(command, "http://127.0.0.1:9/predict", world)
    before = files(world)
    unclear = []
    for wrong in wrong_ones(words, world):
        capsys.readouterr()
        code = main(wrong.words)
        said = capsys.readouterr().err
        errors = re.findall(r"^error: ", said, re.MULTILINE)
        leads = "hint: " in said or "expected " in said or wrong.right.strip("/-") in said
        if code not in (1, 2) or len(errors) != 1 or not leads or "Traceback" in said:
            unclear.append(f"{wrong}: exit {code}: {said[-300:]}")
    assert unclear == []
    assert files(world) - before == set(), "a command with a wrong word writes nothing"
