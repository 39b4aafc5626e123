"""A step's key changes with everything that its result depends on, and with nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from liftgate.ledger import Ledger
from liftgate.ledger.results import FindingsResult
from liftgate.pipeline.step import Cache, Results, Step

scalars = st.integers() | st.text() | st.booleans() | st.none()


class Sample(Step[FindingsResult]):
    """A step that leaves a file, or nothing."""

    KIND = "sample"
    RESULT = FindingsResult

    def __init__(self, inputs: Mapping[str, Any], needs: tuple[Step[Any], ...], name: str, file: Path | None) -> None:
        super().__init__(name, inputs, needs)
        self._file = file

    def work(self, results: Results) -> FindingsResult:
        return FindingsResult({})

    def files(self, result: FindingsResult) -> Mapping[Path, str | None]:
        return {} if self._file is None else {self._file: None}


def step(
    name: str = "train",
    inputs: Mapping[str, Any] | None = None,
    needs: tuple[Step[Any], ...] = (),
    file: Path | None = None,
) -> Step[FindingsResult]:
    return Sample(inputs or {}, needs, name, file)


@given(st.dictionaries(st.text(), scalars), st.dictionaries(st.text(), scalars))
def test_keys_agree_exactly_when_inputs_do(a: dict[str, Any], b: dict[str, Any]) -> None:
    same = repr(sorted(a.items())) == repr(sorted(b.items()))
    assert (step(inputs=a).key == step(inputs=b).key) == same


def test_a_change_far_upstream_changes_every_key_below() -> None:
    keys = {step(needs=(step(needs=(step(inputs={"lr0": lr0}),)),)).key for lr0 in (0.1, 0.01)}
    assert len(keys) == 2


def test_a_name_is_no_input() -> None:
    assert step("train a").key == step("train b").key


def test_results_are_read_by_step_and_not_by_position() -> None:
    one, other = step(inputs={"seed": 0}), step(inputs={"seed": 1})
    results = Results()
    results.add(other, FindingsResult({"seed": 1}))
    assert results.find(one) is None
    results.add(one, FindingsResult({"seed": 0}))
    assert (results.of(one).body, results.of(other).body) == ({"seed": 0}, {"seed": 1})
    assert results.keys == sorted([one.key, other.key])


def test_the_cache_survives_a_restart_and_explains_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    done = step(inputs={"recipe": {"lr0": 0.01}, "seed": 0, "data": "a" * 64})
    assert Cache(Ledger(path)).why(done) == "never ran"
    Cache(Ledger(path)).store(done, FindingsResult({"best": "x"}), seconds=2.0)
    cache = Cache(Ledger(path))
    assert cache.find(done) == FindingsResult({"best": "x"})
    assert cache.why(done).startswith("nothing changed since")
    assert cache.seconds(done) == 2.0
    changed = step(inputs={"recipe": {"lr0": 0.02}, "seed": 1, "data": "b" * 64})
    assert cache.find(changed) is None
    assert cache.why(changed) == "recipe.lr0: 0.01 → 0.02; seed: 0 → 1; data changed"


def test_a_result_whose_files_are_gone_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(b"x")
    made = step(file=file)
    cache = Cache(Ledger(tmp_path / "ledger.sqlite"))
    cache.store(made, FindingsResult({}), 1.0)
    assert cache.find(made) == FindingsResult({})
    file.unlink()
    assert cache.find(made) is None
    assert cache.why(made) == "best.pt is gone"
