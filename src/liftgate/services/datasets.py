"""The functions of `liftgate.data`: read, split, merge, mix, convert, sample, agree and frames, on files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from liftgate.data.core.dataset import Dataset
from liftgate.data.provenance.declared_terms import DeclaredTerms
from liftgate.data.sampling import Sample, SamplingRequest
from liftgate.data.sampling import sample as choose_sample
from liftgate.data.sampling.sample import copy_frames, write_sample
from liftgate.data.video_frames import Extraction, NamingRules, Quota, Request, extract, find_sources
from liftgate.data.video_frames.origin import frames_terms, write_frames_card
from liftgate.data.video_frames.sources import RollingBuffer
from liftgate.evaluation.label_agreement import Compared
from liftgate.progress import Progress, silent
from liftgate.services.agreement import agree_files
from liftgate.services.convert import DatasetSource, data_convert, data_split
from liftgate.services.merge import data_merge, data_mix


def read(
    source: str | Path,
    *,
    groups: str | None = None,
    images: str | Path | None = None,
    keep: Sequence[str] | None = None,
    split: str | Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Read a data set of any format.

    Args:
        source: data.yaml, COCO JSON, Pascal VOC folder, CVAT XML or zip.
        groups: regex with (?P<group>…), CSV with columns image,group, `folder`, `exif` or `name-time`.
        images: folder of the images, where the labels do not name it.
        keep: only these classes, in this order.
        split: a frozen split CSV; default: the data set's own splits.
        progress: called as the work goes on.

    Raises:
        DataError: it cannot be read, has no such class, or the split does not fit it.
    """
    return _source(source, groups, images, keep, split=split).open(progress)


def split(
    source: str | Path,
    out: str | Path,
    *,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    groups: str | None = None,
    images: str | Path | None = None,
    keep: Sequence[str] | None = None,
    seed: int = 0,
    stratify: str | None = None,
    extend: str | Path | None = None,
    folds: int | None = None,
    apart: Sequence[str | Path] = (),
    apart_groups: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Split a data set by group and freeze it: split.csv, one list file per split and, for YOLO, a data.yaml.

    Args:
        source: as in `read`.
        out: a new folder; the images stay where they are.
        ratios: shares of train, val and test.
        groups: as in `read`.
        images: as in `read`.
        keep: as in `read`.
        seed: of the draw.
        stratify: rule as for slices (`frames.csv#category`), whose values are spread over the splits.
        extend: an older split, which stays as it is; only what is new is assigned.
        folds: write so many folds instead, as split-1.csv …
        apart: held-out sets; it is proved first that the data set shares nothing with them.
        apart_groups: groups of the held-out sets; default: `groups`.
        progress: called as the work goes on.

    Returns:
        What `liftgate data split --json` prints.

    Raises:
        DataError: `out` holds a frozen split already, or a held-out set is not apart.
    """
    return data_split(
        _source(source, groups, images, keep),
        Path(out),
        ratios=ratios,
        seed=seed,
        stratify=stratify,
        extend=None if extend is None else Path(extend),
        folds=folds,
        apart=[Path(one) for one in apart],
        apart_groups=apart_groups,
        progress=progress,
    )


def convert(
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    groups: str | None = None,
    images: str | Path | None = None,
    keep: Sequence[str] | None = None,
    split: str | Path | None = None,
    verify: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write a data set in another format.

    Args:
        source: as in `read`.
        to: yolo, coco, voc or cvat.
        out: a new folder; images become links.
        groups: as in `read`.
        images: as in `read`.
        keep: as in `read`.
        split: as in `read`.
        verify: read the result again and return how it differs.
        progress: called as the work goes on.

    Returns:
        What `liftgate data convert --json` prints: the files, and what the format cannot hold.

    Raises:
        DataError: unknown format, or `out` is not empty.
    """
    return data_convert(
        _source(source, groups, images, keep, split=split), to, Path(out), verify=verify, progress=progress
    )


def merge(
    parts: Sequence[str | Path] | Mapping[str, str | Path],
    out: str | Path | None = None,
    *,
    to: str = "yolo",
    rules: str | Path | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Merge data sets and write the result; without `out` only return classes and conflicts.

    Args:
        parts: paths, or name → path.
        out: a new folder; images become links.
        to: yolo, coco, voc or cvat.
        rules: YAML with renamed and dropped classes, or CSV with dataset,class,becomes.
        keep: only these classes of the result.
        backgrounds: keep images that lose all their boxes.
        accept: kinds of conflict to go on in spite of.
        progress: called as the work goes on.

    Returns:
        What `liftgate data merge --json` prints.

    Raises:
        DataError: conflicts that are not accepted, or `out` is not empty.
    """
    return data_merge(
        _named(parts),
        None if out is None else Path(out),
        to=to,
        rules=None if rules is None else Path(rules),
        keep=keep,
        backgrounds=backgrounds,
        accept=accept,
        progress=progress,
    )


def mix(
    parts: Sequence[str | Path] | Mapping[str, str | Path],
    out: str | Path,
    *,
    repeats: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    held_out: str | None = None,
    rules: str | Path | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write one training tree from several data sets.

    Args:
        parts: paths, or name → path.
        out: a new folder; images become links.
        repeats: name → how often an epoch shows its training images.
        weights: name → its share of an epoch, instead of repeats.
        seed: of the images that `weights` shows once more.
        held_out: the data set whose val and test are kept.
        rules: as in `merge`.
        keep: as in `merge`.
        backgrounds: as in `merge`.
        accept: as in `merge`.
        progress: called as the work goes on.

    Returns:
        What `liftgate data mix --json` prints.

    Raises:
        DataError: conflicts that are not accepted, or `out` is not empty.
    """
    return data_mix(
        _named(parts),
        Path(out),
        repeats=repeats,
        weights=weights,
        seed=seed,
        held_out=held_out,
        rules=None if rules is None else Path(rules),
        keep=keep,
        backgrounds=backgrounds,
        accept=accept,
        progress=progress,
    )


def sample(
    source: str | Path,
    out: str | Path | None = None,
    request: SamplingRequest | None = None,
    *,
    champion: str | Path | None = None,
    challenger: str | Path | None = None,
    never: Sequence[str] = (),
    copy: str | Path | None = None,
    progress: Progress = silent,
) -> Sample:
    """Choose the next frames to label.

    Args:
        source: frames.csv of `frames`, or a folder of images.
        out: CSV that the chosen frames are written to.
        request: how many, by which reasons, and the seed.
        champion: log of the model in use: COCO results, JSON lines or CSV.
        challenger: log of another model on the same frames.
        never: splits (`split.csv` or `split.csv:NAME`) whose groups are never chosen from.
        copy: folder that the chosen frames are copied to.
        progress: called as the work goes on.

    Raises:
        UsageError: a number of the request is out of range.
        DataError: frames, a log or a split cannot be read.
        Refused: frames do not say whether they are of a locked group.
    """
    logs = [None if path is None else Path(path) for path in (champion, challenger)]
    result = choose_sample(Path(source), request, champion=logs[0], challenger=logs[1], never=never, progress=progress)
    if copy is not None:
        copy_frames([one.frame for one in result.chosen], Path(copy), progress)
    if out is not None:
        write_sample(result, Path(out))
    return result


def agree(
    paths: Sequence[str | Path],
    *,
    names: Sequence[str] | None = None,
    images: str | Path | None = None,
    groups: str | None = None,
    level: float = 0.95,
    iou: float = 0.5,
    missing_is_empty: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Compared, ...]:
    """Compare every pair of two or more annotators' label sets, which need not be of one format.

    Args:
        paths: data.yaml, COCO JSON, Pascal VOC folder or CVAT XML of each annotator.
        names: of the annotators, in order.
        images: folder of the images, where the labels do not name it.
        groups: as in `read`.
        level: of the intervals.
        iou: overlap that makes two boxes one object.
        missing_is_empty: a frame without a label file has no objects; default: it is not labelled yet.
        seed: of the bootstrap that is shown.
        progress: called as the work goes on.

    Raises:
        DataError: a label set cannot be read, or they have no frame in common.
        UsageError: fewer than two label sets, or a number out of range.
    """
    return agree_files(
        [Path(path) for path in paths],
        names=names,
        images=None if images is None else Path(images),
        groups=groups,
        level=level,
        iou=iou,
        missing_is_empty=missing_is_empty,
        seed=seed,
        progress=progress,
    )


def frames(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    request: Request | None = None,
    *,
    per: Sequence[str] = (),
    seed: int = 0,
    camera: str | None = None,
    category: str = "folder",
    buffer: RollingBuffer | None = None,
    terms: DeclaredTerms | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Extraction:
    """Write frames of videos into a folder, with frames.csv and a card beside them.

    Args:
        sources: videos, or folders of videos or images.
        out: folder for the frames.
        request: seconds between frames, window, JPEG quality and groups.
        per: at most so many videos of each stratum, as `camera=3`.
        seed: which ones `per` takes.
        camera: where a video's camera is named: `folder`, a regex, or the name itself.
        category: where its category is named: `folder` or a regex.
        buffer: the videos are segments that a recorder writes and drops.
        terms: licence, origin, consent and confidentiality, where no card names them.
        workers: threads; default: two for each core.
        progress: called as the work goes on.

    Raises:
        UsageError: a request out of range, PyAV missing, or `out` holds frames of another request.
    """
    request = request or Request()
    given = [sources] if isinstance(sources, str | Path) else sources
    found = find_sources([Path(one) for one in given], naming=NamingRules(camera, category), buffer=buffer)
    known = frames_terms(Path(out), [source.path for source in found], terms)
    quotas = [Quota.parse(text) for text in per]
    result = extract(found, Path(out), request, quotas=quotas, seed=seed, workers=workers, progress=progress)
    words = " ".join([*(f"--per {text}" for text in per), *([f"--seed {seed}"] if per else [])])
    write_frames_card(result, request, known, words)
    return result


def _source(
    source: str | Path,
    groups: str | None,
    images: str | Path | None,
    keep: Sequence[str] | None,
    *,
    split: str | Path | None = None,
) -> DatasetSource:
    return DatasetSource(
        Path(source),
        None if images is None else Path(images),
        groups,
        None if split is None else Path(split),
        None if keep is None else tuple(keep),
    )


def _named(parts: Sequence[str | Path] | Mapping[str, str | Path]) -> list[str]:
    if isinstance(parts, Mapping):
        return [f"{name}={path}" for name, path in parts.items()]
    return [str(part) for part in parts]
