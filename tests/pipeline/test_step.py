"""A step's key changes with everything that its result depends on, and with nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from liftgate.ledger import Ledger
from liftgate.pipeline.step import Cache, Step

scalars = st.integers() | st.text() | st.booleans() | st.none()


def step(name: str = "train", inputs: Mapping[str, Any] | None = None, needs: tuple[Step, ...] = ()) -> Step:
    return Step(name, "train", inputs or {}, lambda results: {}, needs)


@given(st.dictionaries(st.text(), scalars), st.dictionaries(st.text(), scalars))
def test_keys_agree_exactly_when_inputs_do(a: dict[str, Any], b: dict[str, Any]) -> None:
    same = repr(sorted(a.items())) == repr(sorted(b.items()))
    assert (step(inputs=a).key == step(inputs=b).key) == same


def test_a_change_far_upstream_changes_every_key_below() -> None:
    keys = {step(needs=(step(needs=(step(inputs={"lr0": lr0}),)),)).key for lr0 in (0.1, 0.01)}
    assert len(keys) == 2


def test_a_name_is_no_input() -> None:
    assert step("train a").key == step("train b").key


def test_the_cache_survives_a_restart_and_explains_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    done = step(inputs={"recipe": {"lr0": 0.01}, "seed": 0, "data": "a" * 64})
    assert Cache(Ledger(path)).why(done) == "never ran"
    Cache(Ledger(path)).store(done, {"best": "x"}, seconds=2.0)
    cache = Cache(Ledger(path))
    assert cache.find(done) == {"best": "x"}
    assert cache.why(done).startswith("nothing changed since")
    assert cache.seconds(done) == 2.0
    changed = step(inputs={"recipe": {"lr0": 0.02}, "seed": 1, "data": "b" * 64})
    assert cache.find(changed) is None
    assert cache.why(changed) == "recipe.lr0: 0.01 → 0.02; seed: 0 → 1; data changed"


def test_a_result_whose_files_are_gone_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(b"x")
    made = Step("train", "train", {}, lambda results: {}, files=lambda result: {file: None})
    cache = Cache(Ledger(tmp_path / "ledger.sqlite"))
    cache.store(made, {}, 1.0)
    assert cache.find(made) == {}
    file.unlink()
    assert cache.find(made) is None
    assert cache.why(made) == "best.pt is gone"
