"""The valid part of a study that may have mistakes elsewhere, and checks of names and splits in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from liftgate.study.ablations import AnyArm, expand_arms, expand_gates
from liftgate.study.gate_keys import GateKeys
from liftgate.study.yaml_keys import DatasetKeys, ModelKeys, StageKeys, StepKeys
from liftgate.study.yaml_source import Path, Source
from liftgate.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class PartialStudy:
    """The valid entries of each section, and all names in the section, also of invalid entries."""

    datasets: Mapping[str, DatasetKeys]
    arms_as_written: Mapping[str, AnyArm]
    """Arms as they are in the file; `arms` has their variants too, stages in one form."""
    gates: Mapping[str, GateKeys]
    flow: Mapping[int, StepKeys]
    budget: Mapping[str, float]
    seeds: list[int]
    log: list[str]
    task: str
    names: Mapping[str, tuple[str, ...]]
    answer: str | None
    arms: Mapping[str, list[StageKeys] | ModelKeys] = field(init=False)
    expanded_gates: Mapping[str, Mapping[str, GateKeys]] = field(init=False)
    """Name of a gate in the file → the gates that it expands to"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", expand_arms(self.arms_as_written))
        object.__setattr__(self, "expanded_gates", expand_gates(self.gates, self.arms_as_written))

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of arms, in the file and expanded."""
        return tuple(dict.fromkeys((*self.names["arms"], *self.arms)))

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of gates, in the file and expanded."""
        return tuple(
            dict.fromkeys((*self.names["gates"], *(one for some in self.expanded_gates.values() for one in some)))
        )


def require_known(source: Source, path: Path, word: str, kind: str, names: Iterable[str]) -> bool:
    """Return whether `word` is one of `names`; if not, add a problem with the nearest name."""
    names = tuple(names)
    if word in names:
        return True
    if not names:  # the section is missing or not a mapping, which is a problem already
        return False
    source.add_problem(path, f"no {kind} `{word}`", suggestion(word, names))
    return False


def require_unlocked_splits(draft: PartialStudy, places: Iterable[str], path: Path, source: Source) -> None:
    """Add a problem for each split of old data that is locked (it is evaluated for every gate) or unknown."""
    for place in places:
        dataset, dot, split = place.partition(".")
        if not dot or not split or "." in split:  # names of data sets hold no dot
            source.add_problem(path, f"expected DATASET.SPLIT, got `{place}`", f"for example {dataset}.val")
        elif not require_known(source, path, dataset, "dataset", draft.names["datasets"]):
            continue
        elif dataset in draft.datasets and split in draft.datasets[dataset].lock:
            source.add_problem(
                path, f"`{place}` is locked, and this split is evaluated for every gate", f"{dataset}.val"
            )


def require_split(draft: PartialStudy, place: str, path: Path, source: Source) -> None:
    """Add a problem unless `place` is DATASET.SPLIT of a known data set."""
    dataset, dot, split = place.partition(".")
    if not dot or not split or "." in split:
        source.add_problem(path, f"expected DATASET.SPLIT, got `{place}`", f"for example {dataset}.test")
    if require_known(source, path, dataset, "dataset", draft.names["datasets"]) and dataset in draft.datasets:
        made = draft.datasets[dataset].ratios is not None
        if made and split and split not in ("train", "val", "test"):
            source.add_problem(path, f"`ratios` make no split `{split}`", suggestion(split, ("train", "val", "test")))
