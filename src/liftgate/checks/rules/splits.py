"""Rules about splits: leaks between train and evaluation splits, and missing or small splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from liftgate.checks.duplicates import ROBOFLOW_NAME
from liftgate.checks.fault_findings import fault_findings, faults_of_kind
from liftgate.checks.finding import Finding
from liftgate.checks.images.copies import CopyPair, LocatedImage, best_turned_correlation
from liftgate.checks.images.neighbours import compare_neighbours
from liftgate.checks.messages import examples, first_few, plural
from liftgate.checks.rule import dataset_rule, rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset

_MEASURED = frozenset({"val", "test"})
_SIBLING = 0.9  # correlation over mirroring and rotation that confirms a shared source name
_FEW = 20  # images below which a split measures nothing


@rule("splits.same", "error", "warning")
def same(subject: Subject) -> Iterator[Finding]:
    """Validation or test images that are the training images.

    Of 26 public data.yaml files, four validate on the training images and one has val = test. The score then shows how
    well the model remembers. Validating on test is milder: early stopping has looked at the test set.

    Fix: split by group, for example `liftgate data split`, and name the three lists in the data.yaml.
    """
    for name, dataset in subject.datasets.items():
        declared: dict[str, str] = {}
        for split in ("train", "val", "test"):
            entry = dataset.raw.get(split)
            if entry:
                declared[split] = str(entry)
        for a, b in combinations(declared, 2):
            if declared[a] == declared[b]:
                grave = a == "train"
                message = f"{b} is {a}: both are {declared[a]}"
                yield same.finding(
                    f"{dataset.source}, {b}",
                    message,
                    severity="error" if grave else "warning",
                    dataset=name,
                    splits=[a, b],
                )
        shared = faults_of_kind(dataset, "split_shared")
        if shared and len(set(declared.values())) == len(declared):
            yield from fault_findings(same, dataset, {"split_shared": "error"})


@dataset_rule("splits.leak_group", "error", "warning")
def leak_group(dataset: Dataset) -> Iterator[Finding]:
    """Groups with images in more than one split.

    Frames of one video, slides of one patient, pictures of one session resemble each other more than any image that the
    model will see in use. With a group on both sides, the test measures memory, and the interval that counts groups is
    too narrow. It is the first pitfall on the list of the bus-passenger project: the split had to be rebuilt by
    file prefix.

    Fix: split by group: `liftgate data split --groups …`, or `ratios:` in the study.
    """
    where: dict[str, Counter[str]] = defaultdict(Counter)
    for image in dataset.images:
        if image.group is not None and image.split is not None:
            where[image.group][image.split] += 1
    torn = {group: dict(counts) for group, counts in where.items() if len(counts) > 1}
    if not torn:
        return
    trained = {group: counts for group, counts in torn.items() if "train" in counts}
    grave = trained or torn
    named = first_few(f"{group} ({_counts(counts)})" for group, counts in sorted(grave.items()))
    message = f"{plural(len(grave), 'group')} of {len(where):,} in more than one split: {named}"
    yield leak_group.finding(
        dataset.source,
        message,
        severity="error" if trained else "warning",
        images=sum(sum(counts.values()) for counts in grave.values()),
        **examples(sorted(grave)),
    )


@rule("splits.leak_exact", "error", "warning")
def leak_exact(subject: Subject) -> Iterator[Finding]:
    """The same picture on both sides of a split, or in the training data of another data set of the study.

    Decoded pixels are compared, not bytes, so that the format and the metadata do not matter. A pre-training set that
    contains the benchmark's test images is the same fault one step earlier.

    Fix: take the copies out of train, or split again by groups that hold them together: `liftgate data duplicates DATA
    --groups-out groups.csv` writes them. Exact copies seldom come alone (splits.leak_near).
    """
    leaks = [pair for pair in subject.copies if pair.exact and _sides(subject, pair)]
    for key, pairs in _by_sides(subject, leaks).items():
        tested = any("train" in side for side in key)
        message = (
            f"{plural(len(pairs), 'pair')} of equal pictures in {key[0]} and {key[1]} ({_share(subject, key, pairs)}): "
            f"{_named(pairs)}"
        )
        yield leak_exact.finding(
            pairs[0].second.image.path, message, severity="error" if tested else "warning", **_pair_data(key, pairs)
        )


@rule("splits.leak_near", "warning")
def leak_near(subject: Subject) -> Iterator[Finding]:
    """Almost the same picture on both sides of a split: resized, re-saved, brighter, the next frame.

    Their perceptual hashes differ in at most 4 of 64 bits, or in 10 and a thumbnail confirms it. The test score
    is too good by as much as the model remembers them. A few bursts in hundreds of pictures are a warning, not
    proof.

    Fix: give them one group and split again by group: `liftgate data duplicates DATA --groups-out groups.csv` writes
    the groups of pictures that look alike, for `--groups groups.csv` or `groups:` of a study.
    """
    leaks = [pair for pair in subject.copies if not pair.exact and _sides(subject, pair)]
    for key, pairs in _by_sides(subject, leaks).items():
        message = (
            f"{plural(len(pairs), 'pair')} of near-copies across {key[0]} and {key[1]} "
            f"({_share(subject, key, pairs)}): {_named(pairs)}"
        )
        yield leak_near.finding(pairs[0].second.image.path, message, **_pair_data(key, pairs))


@rule("splits.leak_source", "warning", "error", "info")
def leak_source(subject: Subject) -> Iterator[Finding]:
    """One source picture, several Roboflow exports of it, on both sides of a split.

    Roboflow writes augmented siblings as `name.rf.<hash>.jpg`: the part before `.rf.` is the source. Short names
    such as `10_png` meet by chance, so a shared name is a suspicion; where the pixels agree too it is a leak.

    Fix: group by source: `--groups '^(?P<group>.+)\\.rf\\.'`, and split again.
    """
    for name, dataset in subject.datasets.items():
        sources: dict[str, list[int]] = defaultdict(list)
        for index, image in enumerate(dataset.images):
            found = ROBOFLOW_NAME.match(image.id.rsplit("/", 1)[-1])
            if found and image.split:
                sources[found["source"]].append(index)
        torn = {
            source: members
            for source, members in sources.items()
            if len({dataset.images[i].split for i in members}) > 1
        }
        if not torn:
            continue
        thumbs = subject.scan(name).thumbs
        proven = [
            source
            for source, members in torn.items()
            if any(
                dataset.images[a].split != dataset.images[b].split
                and best_turned_correlation(thumbs[a], thumbs[b]) >= _SIBLING
                for a, b in combinations(members[:20], 2)
            )
        ]
        message = (
            f"{plural(len(torn), 'source name')} in more than one split, {len(proven)} of them with pixels that agree: "
            f"{first_few(proven or torn)}"
        )
        yield leak_source.finding(
            dataset.source,
            message,
            severity="error" if proven else "info",
            dataset=name,
            proven=proven[:50],
            **examples(sorted(torn)),
        )


@rule("splits.leak_time", "warning")
def leak_time(subject: Subject) -> Iterator[Finding]:
    """Neighbours in time on different sides of a split: frame 12 in train, frame 13 in test.

    The pictures are numbered, or named by the time, and neighbours across the split resemble each other far more
    than other pictures of the same sequence do. A split by image instead of by video then tests on what was trained
    on, a moment later.

    Fix: group by video or session (`--groups name-time`, or a regex on the name) and split again by group.
    """
    for name, dataset in subject.datasets.items():
        if any(image.group is not None for image in dataset.images):
            continue  # groups are declared: splits.leak_group reports
        found = compare_neighbours(dataset, subject.scan(name))
        if found and found.is_sequence:
            message = (
                f"{plural(found.pairs, 'pair')} of neighbours by number across train and the rest look alike "
                f"(correlation {found.neighbours:.2f}; other pairs of the same sequence {found.random_pairs:.2f}): "
                f"{found.example[0]}, {found.example[1]}"
            )
            yield leak_time.finding(
                dataset.source,
                message,
                dataset=name,
                pairs=found.pairs,
                neighbours=round(found.neighbours, 4),
                strangers=round(found.random_pairs, 4),
                z=round(found.z, 1),
                ahead=round(found.superiority, 3),
                sequences=list(found.sequences[:50]),
            )


@rule("images.duplicate", "warning")
def duplicate(subject: Subject) -> Iterator[Finding]:
    """The same picture twice in one split.

    In train it counts double; in test it narrows the interval without adding knowledge. If the two have different
    labels, one of them is wrong.

    Fix: keep one of each.
    """
    for name, dataset in subject.datasets.items():
        pairs = [
            pair
            for pair in subject.copies
            if pair.exact
            and pair.first.dataset == pair.second.dataset == name
            and pair.first.image.split == pair.second.image.split
        ]
        if pairs:
            message = f"{plural(len(pairs), 'pair')} of equal pictures within one split: {_named(pairs)}"
            found = [[pair.first.image.id, pair.second.image.id] for pair in pairs]
            yield duplicate.finding(dataset.source, message, dataset=name, **examples(found))


@rule("splits.missing", "error", "warning")
def missing(subject: Subject) -> Iterator[Finding]:
    """A split that a stage or a gate needs, and that has no image.

    A stage trains on `train` and stops early by `val`; a gate reads its numbers from the split it names. Ultralytics
    does not start without both `train` and `val` in the data.yaml.

    Fix: name the split in the data.yaml, or let the study make one (`ratios: [0.7, 0.15, 0.15]`).
    """
    for name, error in subject.unsplit.items():
        found = "" if error.got is None else f": {error.got} for {error.expected}"
        yield missing.finding(error.where, f"{error.what}{found}", hint=error.hint, dataset=name)
    needed: dict[str, dict[str, str]] = defaultdict(dict)
    for place in subject.stages:
        needed[place.stage.data] |= {"val": place.where}
        for source in place.stage.sources:
            needed[source] |= {"train": place.where}
    for gate in subject.study.gates if subject.study else ():
        name, _, split = gate.on.rpartition(".")
        needed[name].setdefault(split, f"gate {gate.name}")
    for name, splits in needed.items():
        dataset = subject.datasets.get(name)
        if dataset is None or name in subject.unsplit:
            continue
        for split, who in splits.items():
            if split not in dataset.splits:
                have = f"it has {', '.join(dataset.splits)}" if dataset.splits else "it has no splits at all"
                yield missing.finding(dataset.source, f"{who} needs {name}.{split}: {have}", dataset=name, split=split)
    for name, dataset in subject.datasets.items() if subject.study is None else ():
        for split in ("train", "val") if dataset.format == "yolo" else ():
            if (
                split not in dataset.splits
                and not dataset.raw.get(split)
                and not faults_of_kind(dataset, "split_missing")
            ):
                message = f"the data.yaml names no {split}: Ultralytics does not start without"
                yield missing.finding(dataset.source, message, severity="warning", dataset=name, split=split)


@dataset_rule("splits.small", "warning")
def small(dataset: Dataset) -> Iterator[Finding]:
    """A validation or test split of fewer than 20 images.

    Its score jumps by several points from one image; no margin can be read from it.

    Fix: take more images, from more groups.
    """
    count = Counter(image.split for image in dataset.images)
    for split in sorted(_MEASURED & set(dataset.splits)):
        if count[split] < _FEW:
            message = f"{split} has {plural(count[split], 'image')} of {len(dataset.images):,}"
            yield small.finding(f"{dataset.source}, {split}", message, split=split, images=count[split])


@dataset_rule("splits.unassigned", "warning")
def unassigned(dataset: Dataset) -> Iterator[Finding]:
    """Images outside every split, or split files that name images which are gone; a group rule that fits only some.

    They are neither trained on nor measured. A group rule that misses some images makes each
    of those a group of its own, and the interval too narrow.

    Fix: correct the rule or the CSV.
    """
    yield from fault_findings(
        unassigned,
        dataset,
        {"split_unassigned": "warning", "split_image_gone": "warning", "group_unmatched": "warning"},
    )
    loose = [image.id for image in dataset.images if image.split is None]
    if loose and dataset.splits and not faults_of_kind(dataset, "split_unassigned"):
        message = f"{plural(len(loose), 'image is', 'images are')} in no split: {first_few(loose)}"
        yield unassigned.finding(dataset.source, message, **examples(loose))


def _sides(subject: Subject, pair: CopyPair) -> tuple[str, str] | None:
    """Return the two splits (`dataset.split`) between which a pair is a leak; None: it is no leak."""
    a, b = pair.first, pair.second
    first, second = a.image.split, b.image.split
    if first is None or second is None:
        return None
    if a.dataset == b.dataset:
        return (first, second) if first != second and (first in _MEASURED or second in _MEASURED) else None
    crossing = {first, second}
    # Across data sets only train against what is measured is a leak; two test sets may share pictures.
    return (f"{a.dataset}.{first}", f"{b.dataset}.{second}") if "train" in crossing and crossing & _MEASURED else None


def _by_sides(subject: Subject, pairs: Sequence[CopyPair]) -> dict[tuple[str, str], list[CopyPair]]:
    found: dict[tuple[str, str], list[CopyPair]] = defaultdict(list)
    for pair in pairs:
        sides = _sides(subject, pair)
        if sides:
            # train comes first: it is the side to change
            ordered = sorted(sides, key=lambda side: ("train" not in side, side))
            prefix = f"{pair.first.dataset}." if pair.first.dataset == pair.second.dataset else ""
            found[(prefix + ordered[0], prefix + ordered[1])].append(pair)
    return dict(sorted(found.items()))


def _share(subject: Subject, key: tuple[str, str], pairs: Sequence[CopyPair]) -> str:
    """Return, for a message, how many images of the measured split are affected, rather than how many pairs."""
    measured = {one.name for pair in pairs for one in (pair.first, pair.second) if _side(one) == key[1]}
    name, _, split = key[1].rpartition(".")
    total = sum(image.split == split for image in subject.datasets[name].images)
    return f"{len(measured):,} of {plural(total, 'image')} of {key[1]}"


def _side(one: LocatedImage) -> str:
    return f"{one.dataset}.{one.image.split}"


def _named(pairs: Sequence[CopyPair]) -> str:
    return first_few((f"{pair.first.image.id} = {pair.second.image.id}" for pair in pairs[:5]), len(pairs))


def _pair_data(key: tuple[str, str], pairs: Sequence[CopyPair]) -> dict[str, Any]:
    found = [
        {"first": pair.first.name, "second": pair.second.name, "bits": pair.bits, "alike": round(pair.similarity, 4)}
        for pair in pairs
    ]
    return {"sides": list(key), **examples(found)}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{split} {count}" for split, count in counts.items())
