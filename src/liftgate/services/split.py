"""Split a dataset by group and freeze the split in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import yaml

from liftgate.data.core.counts import SplitCounts, describe
from liftgate.data.core.dataset import Dataset
from liftgate.data.grouping.slicing import slice_images
from liftgate.data.provenance.card import build_card, write_card
from liftgate.data.provenance.declared_terms import known_terms
from liftgate.data.splits.folds import extend_split, make_folds, prove_disjoint
from liftgate.data.splits.split import Split, make_split, read_split
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty, write_text
from liftgate.paths import lexical
from liftgate.progress import Progress, silent
from liftgate.services.dataset_source import DatasetSource, ReadFaults, SourceOptions, faults_of, source_of


@dataclass(frozen=True, slots=True)
class StratumGroups:
    """Number of groups of one stratum in each split."""

    stratum: str
    groups: Mapping[str, int]
    """split → groups"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"stratum": self.stratum, "groups": dict(self.groups)}


@dataclass(frozen=True, slots=True)
class WrittenSplit:
    """One frozen split."""

    path: Path
    """Its CSV"""
    sha256: str
    splits: tuple[SplitCounts, ...]
    strata: tuple[StratumGroups, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "split": str(self.path),
            "sha256": self.sha256,
            "splits": [
                {
                    "split": row.split,
                    "n_images": row.n_images,
                    "n_groups": row.n_groups,
                    "n_objects": row.n_objects,
                    "objects_by_class": dict(row.objects_by_class),
                }
                for row in self.splits
            ],
            "strata": [row.to_dict() for row in self.strata],
        }


@dataclass(frozen=True, slots=True)
class HeldOutProof:
    """Proof that a held-out set shares no image and no group with the data."""

    data: str
    n_images: int
    n_groups: int

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"data": self.data, "n_images": self.n_images, "n_groups": self.n_groups}


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Result of `split`: one frozen split, or several folds."""

    seed: int
    splits: tuple[WrittenSplit, ...]
    folds: bool
    apart: tuple[HeldOutProof, ...]
    faults: ReadFaults

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        rows = [one.to_dict() for one in self.splits]
        rest = {"apart": [proof.to_dict() for proof in self.apart], **self.faults.to_dict()}
        if self.folds:
            return {"seed": self.seed, "folds": rows, **rest}
        return {"seed": self.seed, **rows[0], "folds": [], **rest}


def split(
    data: Path | str | DatasetSource,
    out: Path | str,
    *,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    extend: Path | str | None = None,
    folds: int | None = None,
    apart: Sequence[Path | str] = (),
    apart_groups: str | None = None,
    stratify: str | None = None,
    progress: Progress = silent,
    **options: Unpack[SourceOptions],
) -> SplitResult:
    """Split a dataset by group and freeze it: split.csv, one list file per split and, for YOLO, a data.yaml in `out`.

    List files have absolute paths; images stay where they are.

    Args:
        data: a dataset, or unlabelled frames (frames.csv, or a folder with one).
        out: a new folder.
        ratios: of train, val and test.
        seed: the same seed gives the same split.
        extend: an existing split, which does not change; only new images are assigned.
        folds: number of splits into train and val to make instead (split-1.csv …).
        apart: held-out sets that must be disjoint from the data.
        apart_groups: rule for their groups; None: the same as for the data.
        stratify: a rule as for slices (`frames.csv#category`), whose values are spread over the splits.
        progress: called while files are read.
        **options: how to read `data` (see `SourceOptions`).

    Raises:
        DataError: `out` has a frozen split already, or a held-out set shares images or groups.
    """
    source, out = source_of(data, **options), Path(out)
    if folds is not None and extend is not None:
        raise DataError("folds of an older split", hint="extend the split, or fold the data")
    if (out / "split.csv").exists() or (out / "split-1.csv").exists():
        raise DataError("there is a frozen split already", where=out, hint="choose another --out")
    require_empty(out)
    dataset = source.open(progress, unlabelled=True)
    strata = {} if stratify is None else slice_images(dataset, stratify, base=Path.cwd())
    proofs = tuple(_prove_disjoint(dataset, Path(path), source, apart_groups, progress) for path in apart)
    if folds is not None:
        made = {f"-{number}": one for number, one in enumerate(make_folds(dataset, folds, seed, strata), 1)}
        how = f"--folds {folds}"
    elif extend is not None:
        made = {"": extend_split(read_split(Path(extend)), dataset, ratios, seed, strata)}
        how = "--extend an older split"
    else:
        made = {"": make_split(dataset, ratios, seed, strata)}
        how = "--ratios " + " ".join(f"{ratio:g}" for ratio in ratios)
    how += "" if stratify is None else f" --stratify {Path(stratify).name}"
    how += "".join(f" --apart {Path(proof.data).name} (proved: {proof.n_images} images)" for proof in proofs)
    with atomic_folder(out) as part:
        frozen = tuple(_freeze(one, dataset, strata, part, out, suffix) for suffix, one in made.items())
        consent = known_terms(dataset, source.declared).consent
        hashes = {f"split{suffix}.csv": one.sha256 for suffix, one in made.items()}
        shown = dataset if folds is not None else made[""].apply(dataset)
        write_card(build_card(shown, f"liftgate data split {how} --seed {seed}", consent=consent, hashes=hashes), part)
    return SplitResult(seed, frozen, folds is not None, proofs, faults_of(dataset))


def _freeze(
    split: Split, dataset: Dataset, strata: Mapping[str, str], folder: Path, home: Path, suffix: str
) -> WrittenSplit:
    """Write one split into `folder`, which will be renamed to `home`."""
    applied = split.apply(dataset)
    _write_lists(applied, folder, home, suffix)
    frozen = home / split.write(folder / f"split{suffix}.csv").name
    return WrittenSplit(frozen, split.sha256, describe(applied).splits, _strata(applied, strata))


def _strata(applied: Dataset, strata: Mapping[str, str]) -> tuple[StratumGroups, ...]:
    groups = {(strata[image.id], image.split, image.key) for image in applied.images if image.id in strata}
    counts = Counter((name, split) for name, split, _ in groups)
    return tuple(
        StratumGroups(name, {split: counts[name, split] for split in applied.splits})
        for name in sorted(set(strata.values()))
    )


def _prove_disjoint(
    dataset: Dataset, path: Path, source: DatasetSource, groups: str | None, progress: Progress
) -> HeldOutProof:
    held_out = replace(source, path=path, groups=groups or source.groups, split=None, keep=None, keypoints=None)
    try:
        there = held_out.open(progress, unlabelled=True)
    except DataError as error:
        if groups or not source.groups or not str(error.where).endswith(source.groups):
            raise  # not about the rule
        raise DataError(error.what, where=error.where, got=error.got, hint="--apart-groups RULE for this set") from None
    proof = prove_disjoint(dataset, there, progress=progress)
    return HeldOutProof(str(path), proof.n_images, proof.n_groups)


def _write_lists(dataset: Dataset, folder: Path, home: Path, suffix: str) -> None:
    lists = {split: f"{split}{suffix}.txt" for split in dataset.splits}
    for split, name in lists.items():
        paths = [str(image.path) for image in dataset.images if image.split == split]
        if broken := [path for path in paths if not path.isprintable()]:
            raise DataError("a list file cannot hold this name", where=repr(broken[0]), hint="rename the file")
        write_text(folder / name, "".join(f"{path}\n" for path in paths))
    if dataset.format == "yolo":
        # Paths are replaced; keys that run code (download) or mislead (roboflow) are dropped.
        gone = {"path", "train", "val", "validation", "test", "download", "roboflow"}
        kept = {key: value for key, value in dataset.raw.items() if key not in gone}
        places = {"path": str(lexical(home))} | lists
        write_text(folder / f"data{suffix}.yaml", yaml.safe_dump(places | kept, allow_unicode=True, sort_keys=False))
