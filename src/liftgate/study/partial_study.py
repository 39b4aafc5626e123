"""What the rules of a study look at: its well-formed entries, the names that stand in them, and where they point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from liftgate.study.ablations import AnyArm, expand_arms, expand_gates
from liftgate.study.yaml_keys import DatasetKeys, GateKeys, ModelKeys, StageKeys, StepKeys
from liftgate.study.yaml_source import Path, Source
from liftgate.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class Draft:
    """The well-formed entries of each section, and every name that the section has, well-formed or not."""

    datasets: Mapping[str, DatasetKeys]
    written: Mapping[str, AnyArm]
    """Arms as they are written; `arms` has their variants too, stages in one form."""
    gates: Mapping[str, GateKeys]
    flow: Mapping[int, StepKeys]
    budget: Mapping[str, float]
    seeds: list[int]
    log: list[str]
    task: str
    names: Mapping[str, tuple[str, ...]]
    arms: Mapping[str, list[StageKeys] | ModelKeys] = field(init=False)
    stands_for: Mapping[str, Mapping[str, GateKeys]] = field(init=False)
    """Name of a gate as it is written → the gates that it stands for"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", expand_arms(self.written))
        object.__setattr__(self, "stands_for", expand_gates(self.gates, self.written))

    @property
    def arm_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.names["arms"], *self.arms)))

    @property
    def gate_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.names["gates"], *(one for some in self.stands_for.values() for one in some))))


def demand_known(source: Source, path: Path, word: str, kind: str, names: Iterable[str]) -> bool:
    names = tuple(names)
    if word in names:
        return True
    if not names:  # that the whole section is missing, or no mapping, is said already
        return False
    source.complain(path, f"no {kind} `{word}`", suggestion(word, names))
    return False


def demand_free_places(draft: Draft, places: Iterable[str], path: Path, source: Source) -> None:
    """Old data is looked at for every gate: a locked split is not for that."""
    for place in places:
        dataset, dot, split = place.partition(".")
        if not dot or not split:
            source.complain(path, f"expected DATASET.SPLIT, got `{place}`", f"for example {dataset}.val")
        elif not demand_known(source, path, dataset, "dataset", draft.names["datasets"]):
            continue
        elif dataset in draft.datasets and split in draft.datasets[dataset].lock:
            source.complain(path, f"`{place}` is locked, and this is looked at for every gate", f"{dataset}.val")


def demand_place(draft: Draft, place: str, path: Path, source: Source) -> None:
    dataset, dot, split = place.partition(".")
    if not dot or not split:
        source.complain(path, f"expected DATASET.SPLIT, got `{place}`", f"for example {dataset}.test")
    if demand_known(source, path, dataset, "dataset", draft.names["datasets"]) and dataset in draft.datasets:
        made = draft.datasets[dataset].ratios is not None
        if made and split and split not in ("train", "val", "test"):
            source.complain(path, f"`ratios` make no split `{split}`", suggestion(split, ("train", "val", "test")))
