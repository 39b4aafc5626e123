"""Duplicates: images that show the same or come from the same, and the groups that keep them together in a split.

Four kinds of link, from sure to likely: `exact` (equal pixels), `near` (perceptual hash, confirmed by thumbnails),
`source` (siblings by Roboflow's `.rf.` names), `time` (neighbours by number in one film that also look alike). Groups
are everything that is connected by links, and by groups that the data set has already. A link too many costs a split
a little freedom; one too few costs the test its meaning.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.images.copies import LocatedImage, best_turned_correlation, correlation
from liftgate.checks.images.neighbours import MUCH_MORE_ALIKE, SURE, frame_name
from liftgate.checks.images.scan import ImageScan
from liftgate.checks.subject import Subject

Kind = Literal["exact", "near", "source", "time"]
KINDS: tuple[Kind, ...] = ("exact", "near", "source", "time")
ROBOFLOW = re.compile(r"(?P<source>.+)\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})(?=\.[^.]+$)")
_ALIKE = 0.9  # correlation of thumbnails that makes neighbours by number neighbours in time
_FEWEST = 20  # pairs to tell a film by
_APART = 30  # places between two strangers of one sequence
_FARTHEST = 3  # usual steps between two neighbours


@dataclass(frozen=True, slots=True)
class Link:
    """Two images that belong together, and why."""

    first: LocatedImage
    second: LocatedImage
    kind: Kind
    alike: float
    """correlation of the grey thumbnails; of siblings the best over mirroring and quarter turns"""

    @property
    def crosses(self) -> bool:
        """It connects two splits, or train of one data set with what is measured in another."""
        a, b = self.first.image.split, self.second.image.split
        if a is None or b is None or a == b:
            return False
        return self.first.dataset == self.second.dataset or "train" in (a, b)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        sides = {
            name: {"dataset": one.dataset, "image": one.image.id, "split": one.image.split}
            for name, one in (("first", self.first), ("second", self.second))
        }
        return {"kind": self.kind, **sides, "alike": round(self.alike, 4), "crosses": self.crosses}


def find_links(subject: Subject) -> tuple[Link, ...]:
    """Return every link within and across the data sets, the surest kind of each pair, those across splits first."""
    found: dict[tuple[str, str], Link] = {}
    copies = (Link(p.first, p.second, "exact" if p.exact else "near", p.alike) for p in subject.copies)
    for link in (*copies, *_siblings(subject), *_neighbours(subject)):
        a, b = sorted((link.first.name, link.second.name))
        known = found.get((a, b))
        if known is None or KINDS.index(link.kind) < KINDS.index(known.kind):
            found[a, b] = link
    order = sorted(found.items(), key=lambda item: (not item[1].crosses, KINDS.index(item[1].kind), item[0]))
    return tuple(link for _, link in order)


def group_names(subject: Subject, links: Sequence[Link]) -> dict[str, dict[str, str]]:
    """Return data set → image id → its group: the first image of all that is linked, or the image itself.

    One picture in two data sets has one group name in both.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    def join(a: str, b: str) -> None:
        first, second = sorted((root(a), root(b)))
        parent[second] = first

    for name, dataset in subject.datasets.items():
        for image in dataset.images:
            if image.group is not None:
                join(LocatedImage(name, image).name, f"{name}: group {image.group}")
    for link in links:
        join(link.first.name, link.second.name)
    return {
        name: {image.id: root(LocatedImage(name, image).name) for image in dataset.images}
        for name, dataset in subject.datasets.items()
    }


def groups_csv(groups: Mapping[str, str]) -> str:
    """Return a CSV with columns image,group, as `--groups` takes it."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image", "group"))
    table.writerows(sorted(groups.items()))
    return text.getvalue()


def summary(subject: Subject, links: Sequence[Link], groups: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return counts as plain JSON values: links by kind, those across splits, groups and the largest of them."""
    sizes = Counter(group for members in groups.values() for group in members.values())
    return {
        "links": {kind: sum(link.kind == kind for link in links) for kind in KINDS},
        "crossing": {kind: sum(link.kind == kind and link.crosses for link in links) for kind in KINDS},
        "n_images": sum(len(dataset.images) for dataset in subject.datasets.values()),
        "n_groups": len(sizes),
        "largest_group": max(sizes.values(), default=0),
        "n_linked": sum(size for size in sizes.values() if size > 1),
    }


def _siblings(subject: Subject) -> Iterator[Link]:
    """Link every image of one Roboflow source with the next; across data sets too."""
    sources: dict[str, list[tuple[LocatedImage, Any]]] = defaultdict(list)
    for name, dataset in subject.datasets.items():
        for index, image in enumerate(dataset.images):
            match = ROBOFLOW.match(image.id.rsplit("/", 1)[-1])
            if match:
                sources[match["source"]].append((LocatedImage(name, image), subject.scan(name).thumbs[index]))
    for members in sources.values():
        for (first, one), (second, other) in pairwise(members):
            if first.image.path != second.image.path:
                yield Link(first, second, "source", best_turned_correlation(one, other))


def _neighbours(subject: Subject) -> Iterator[Link]:
    """Link numbered neighbours that look alike. Numbers alone prove nothing: a shuffled archive is numbered too."""
    for name, dataset in subject.datasets.items():
        scan = subject.scan(name)
        sequences: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for index, image in enumerate(dataset.images):
            numbered = frame_name(image.path.stem)
            if numbered and scan.readable[index]:
                sequences[numbered.sequence, numbered.tail].append((numbered.number, index))
        for members in sequences.values():
            members.sort()
            steps = [b - a for (a, _), (b, _) in pairwise(members) if b > a]
            usual = float(np.median(steps)) if steps else 1.0
            pairs = [(i, j) for (a, i), (b, j) in pairwise(members) if b - a <= _FARTHEST * usual]
            alike = correlation(scan.thumbs, np.array(pairs, dtype=np.int64).reshape(-1, 2))
            enough = _enough(alike, _strangers(scan, [index for _, index in members]))
            for (i, j), score in zip(pairs, alike.tolist(), strict=True):
                if score >= enough:
                    yield Link(
                        LocatedImage(name, dataset.images[i]), LocatedImage(name, dataset.images[j]), "time", score
                    )


def _enough(neighbours: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    """Return how alike neighbours by number must be: 0.9, or, in a proven film, more than strangers of it ever are."""
    if len(strangers) < _FEWEST or len(neighbours) < _FEWEST:
        return _ALIKE
    error = np.sqrt(neighbours.var(ddof=1) / len(neighbours) + strangers.var(ddof=1) / len(strangers))
    gap = float(neighbours.mean() - strangers.mean())
    film = gap >= MUCH_MORE_ALIKE and gap >= SURE * error
    return min(_ALIKE, float(np.quantile(strangers, 0.99))) if film else _ALIKE


def _strangers(scan: ImageScan, members: Sequence[int]) -> NDArray[np.float64]:
    """Correlations of random pairs of a sequence that stand far apart in it."""
    drawn = np.random.default_rng(0).integers(0, len(members), (2000, 2))
    far = drawn[np.abs(drawn[:, 0] - drawn[:, 1]) > _APART]
    return correlation(scan.thumbs, np.asarray(members, dtype=np.int64)[far])
