"""An option that would do nothing is refused by name, and so are numbers that no draw can begin with."""

from __future__ import annotations

import pytest

from liftgate.cli import main

MODELS = ["--control", "a.json", "--treatment", "b.json"]
JUDGE = ["judge", "a.json", "b.json", "--images", "frames", "--plan"]
SAMPLE = ["data", "sample", "frames", "--out", "next.csv"]
ANSWERS = ["compare", *MODELS, "--judgements", "answers.csv"]
PRELABEL = ["data", "prelabel", "frames", "--predictions", "p.json", "--out", "task"]
MEASURE = [*SAMPLE, "--for", "recall", "--champion", "a.json"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ([*ANSWERS, "--conf", "0.25"], "--conf"),
        ([*ANSWERS, "--sample", "sample.csv"], "--sample"),
        ([*ANSWERS, "--open-anyway", "because"], "--open-anyway"),
        (["compare", *MODELS, "--truth", "t.json", "--conflicts", "unsure"], "--conflicts"),
        (["compare", *MODELS, "--truth", "t.json", "--draw", "judging"], "--draw"),
        ([*JUDGE, "--margin", "0.0"], "--margin"),
        ([*JUDGE, "--level", "0.9"], "--level"),
        ([*JUDGE, "--lev", "0.9"], "--level"),
        ([*JUDGE, "--until", "lift", "--study", "s.yaml", "--margin=0.1"], "--margin"),
        ([*SAMPLE, "--groups", "folder"], "--groups"),
        ([*SAMPLE, "--strata", "folder", "--per-group", "2"], "--strata, --per-group"),
        ([*MEASURE, "--low", "0.5"], "--low"),
        (["evaluate", "--truth", "t", "--predictions", "p", "--mapping", "m.yaml"], "--mapping"),
        (["evaluate", "--truth", "t", "--predictions", "p", "--confidential", "--seed", "1"], "--confidential, --seed"),
        ([*PRELABEL, "--seed", "1"], "--seed"),
        ([*PRELABEL, "--name", "task", "--allow-remote", "host"], "--allow-remote, --name"),
        (["data", "corrections", "exported", "corrected.xml", "--to", "coco"], "--to"),
        (["check", "data.yaml", "--predictions", "p", "--review", "r", "--select", "mistakes.box"], "--select"),
        (["check", "data.yaml", "--review", "r", "--reviewed", "a.csv", "--set", "seeds=[1]"], "--set"),
        (["check", "data.yaml", "--review", "r", "--reviewed", "a.csv", "--predictions", "p"], "--predictions"),
        ([*MEASURE, "--near", "3"], "--near"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"got {option}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        JUDGE, SAMPLE, ["data", "split", "data.yaml", "--out", "o"], ["data", "stats", "data.yaml"],
        ["data", "mix", "a", "b", "--out", "o"], ["data", "agree", "--a", "a", "--b", "b"],
        ["data", "prelabel", "frames", "--predictions", "p", "--out", "o"], ["export", "m.pt"],
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_a_seed_below_zero_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--seed", "-1"]) == 2
    assert "expected at least 0, got -1" in capsys.readouterr().err
