"""`liftgate data split` and `convert`: from files to files. Returns what `--json` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from liftgate.data.core.counts import describe
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.filters import keep_classes, keep_keypoints
from liftgate.data.formats.read import is_dataset, read
from liftgate.data.formats.read_back import read_back
from liftgate.data.formats.write import write_dataset
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.grouping.slicing import slice_images
from liftgate.data.provenance.card import build_card, write_card
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms, with_terms
from liftgate.data.sampling.frames import MANIFEST, unlabelled_dataset
from liftgate.data.splits.folds import extend_split, make_folds, prove_disjoint
from liftgate.data.splits.split import Split, make_split, read_split
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty, write_text
from liftgate.paths import lexical
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """Where a dataset comes from, as every sub-verb takes it."""

    path: Path
    images: Path | None = None
    groups: str | None = None
    split: Path | None = None
    """A frozen split CSV; None: the source's own splits"""
    keep: tuple[str, ...] | None = None
    said: DeclaredTerms | None = None
    """What its user says of licence, origin, consent and confidentiality"""
    keypoints: tuple[str, ...] | None = None
    """Only these, in this order"""
    backgrounds: bool = True
    """Whether images stay that have lost all their boxes to `keep`"""

    def open(self, progress: Progress = silent, *, bare: bool = False) -> Dataset:
        """Read the dataset with its terms, keep its classes, assign groups (a CSV is relative to the working
        directory), apply the split. `bare`: frames that nobody has labelled yet will do too."""
        if bare and _is_bare(self.path):
            dataset = unlabelled_dataset(self.path, progress=progress)
        else:
            dataset = read(self.path, images=self.images, progress=progress)
        dataset = with_terms(dataset, known_terms(dataset, self.said))
        if self.keep is not None:
            dataset = keep_classes(dataset, self.keep, backgrounds=self.backgrounds)
        if self.keypoints is not None:
            dataset = keep_keypoints(dataset, self.keypoints)
        if self.groups is not None:
            dataset = assign_groups(dataset, self.groups, base=Path.cwd())
        return dataset if self.split is None else read_split(self.split).apply(dataset)


def _is_bare(path: Path) -> bool:
    """A list of frames, or a folder with one; a folder of images says nothing of groups, and may be a mistake."""
    return path.suffix.lower() == ".csv" or ((path / MANIFEST).is_file() and not is_dataset(path))


def data_split(
    source: DatasetSource,
    out: Path,
    *,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    extend: Path | None = None,
    folds: int | None = None,
    apart: Sequence[Path] = (),
    apart_groups: str | None = None,
    stratify: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Split a dataset by group and freeze it: split.csv, one list file per split and, for YOLO, a data.yaml in `out`.

    Images are named by their absolute path in the list files and stay where they are. `extend` is an older split that
    stays as it is; `folds` makes split-1.csv … instead; `apart` are held-out sets, proved first to share nothing (their
    groups by `apart_groups`, else by the same rule). The values of `stratify`, a rule as for slices
    (`frames.csv#category`), are spread over the splits.

    Raises:
        DataError: `out` holds a frozen split already; a held-out set that is not apart.
    """
    frozen = out / "split.csv"
    if folds is not None and extend is not None:
        raise DataError("folds of an older split", hint="extend the split, or fold the data")
    if frozen.exists() or (out / "split-1.csv").exists():
        raise DataError("there is a frozen split already", where=out, hint="choose another --out")
    require_empty(out)
    dataset = source.open(progress, bare=True)
    strata = {} if stratify is None else slice_images(dataset, stratify, base=Path.cwd())
    proofs = [_proof(dataset, path, source, apart_groups, progress) for path in apart]
    if folds is not None:
        made = {f"-{number}": split for number, split in enumerate(make_folds(dataset, folds, seed, strata), 1)}
        how = f"--folds {folds}"
    elif extend is not None:
        made, how = {"": extend_split(read_split(extend), dataset, ratios, seed, strata)}, "--extend an older split"
    else:
        made = {"": make_split(dataset, ratios, seed, strata)}
        how = "--ratios " + " ".join(f"{ratio:g}" for ratio in ratios)
    how += "" if stratify is None else f" --stratify {Path(stratify).name}"
    how += "".join(f" --apart {Path(proof['data']).name} (proved: {proof['n_images']} images)" for proof in proofs)
    with atomic_folder(out) as part:
        records = [_freeze(split, dataset, strata, part, out, suffix) for suffix, split in made.items()]
        consent = known_terms(dataset, source.said).consent
        hashes = {f"split{suffix}.csv": split.sha256 for suffix, split in made.items()}
        shown = dataset if folds is not None else made[""].apply(dataset)
        write_card(build_card(shown, f"liftgate data split {how} --seed {seed}", consent=consent, hashes=hashes), part)
    if folds is not None:
        return {"seed": seed, "folds": records, "apart": proofs}
    return {"seed": seed, **records[0], "folds": [], "apart": proofs}


def data_convert(
    source: DatasetSource, to: str, out: Path, *, verify: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Write a dataset in another format; returns the files and what the format could not hold. `verify` reads the
    result again and says how it differs.

    Raises:
        DataError: unknown format, or `out` is not empty.
    """
    dataset = source.open(progress)
    consent = known_terms(dataset, source.said).consent
    made = build_card(dataset, f"liftgate data convert --to {to}", consent=consent)
    written = write_dataset(dataset, to, out, made, progress=progress)
    return {
        "from": dataset.format,
        "to": to,
        "files": [str(path) for path in written.files],
        "n_images": len(dataset.images),
        "n_objects": len(dataset.labels),
        "losses": [{"what": loss.what, "count": loss.count, "example": loss.example} for loss in written.losses],
        "read_back": read_back(dataset, to, written, progress=progress).to_dict() if verify else None,
    }


def _freeze(
    split: Split, dataset: Dataset, strata: Mapping[str, str], folder: Path, home: Path, suffix: str
) -> dict[str, Any]:
    """Write one split into `folder`, which will be called `home`."""
    applied = split.apply(dataset)
    _write_lists(applied, folder, home, suffix)
    frozen = home / split.write(folder / f"split{suffix}.csv").name
    keys = ("split", "n_images", "n_groups", "n_objects", "objects_by_class")
    rows = [{key: row[key] for key in keys} for row in describe(applied)["splits"]]
    return {"split": str(frozen), "sha256": split.sha256, "splits": rows, "strata": _strata(applied, strata)}


def _strata(applied: Dataset, strata: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row for each stratum: its groups, by split."""
    groups = {(strata[image.id], image.split, image.key) for image in applied.images if image.id in strata}
    counts = Counter((name, split) for name, split, _ in groups)
    return [
        {"stratum": name, "groups": {split: counts[name, split] for split in applied.splits}}
        for name in sorted(set(strata.values()))
    ]


def _proof(
    dataset: Dataset, path: Path, source: DatasetSource, groups: str | None, progress: Progress
) -> dict[str, Any]:
    held_out = replace(source, path=path, groups=groups or source.groups, split=None, keep=None, keypoints=None)
    try:
        there = held_out.open(progress, bare=True)
    except DataError as error:
        if groups or not source.groups or not str(error.where).endswith(source.groups):
            raise  # not about the rule
        raise DataError(error.what, where=error.where, got=error.got, hint="--apart-groups RULE for this set") from None
    proof = prove_disjoint(dataset, there, progress=progress)
    return {"data": str(path), "n_images": proof.n_images, "n_groups": proof.n_groups}


def _write_lists(dataset: Dataset, folder: Path, home: Path, suffix: str) -> None:
    lists = {split: f"{split}{suffix}.txt" for split in dataset.splits}
    for split, name in lists.items():
        paths = [str(image.path) for image in dataset.images if image.split == split]
        if broken := [path for path in paths if not path.isprintable()]:
            raise DataError("a list file cannot hold this name", where=repr(broken[0]), hint="rename the file")
        write_text(folder / name, "".join(f"{path}\n" for path in paths))
    if dataset.format == "yolo":
        # The keys that say where things are become ours; what may run (download) or misleads (roboflow) goes.
        gone = {"path", "train", "val", "validation", "test", "download", "roboflow"}
        kept = {key: value for key, value in dataset.raw.items() if key not in gone}
        places = {"path": str(lexical(home))} | lists
        write_text(folder / f"data{suffix}.yaml", yaml.safe_dump(places | kept, allow_unicode=True, sort_keys=False))
