"""Find duplicate and related images, and the groups that keep them in one split.

Four kinds of link, from certain to likely: `exact` (equal pixels), `near` (perceptual hash, confirmed by thumbnails),
`source` (exports of one source image, by Roboflow's `.rf.` file names), `time` (consecutive frames of one video that
also look alike). Groups are the connected components of all links and of the groups that the data set already has. A
false link only makes a split a little less free; a missed link leaks training images into the test split.
"""

from __future__ import annotations

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.images.copies import LocatedImage, best_turned_correlation, components, correlation
from liftgate.checks.images.neighbours import MIN_CORRELATION_GAP, MIN_Z, frame_name
from liftgate.checks.images.scan import ImageScan
from liftgate.checks.subject import Subject
from liftgate.data.core.csv_tables import csv_writer

Kind = Literal["exact", "near", "source", "time"]
KINDS: tuple[Kind, ...] = ("exact", "near", "source", "time")
ROBOFLOW_NAME = re.compile(r"(?P<source>.+)\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})(?=\.[^.]+$)")
_MIN_CORRELATION = 0.9  # of the thumbnails, from which consecutively numbered images count as frames of one video
_MIN_PAIRS = 20  # from which a numbered sequence can be recognised as a video
_MIN_DISTANCE = 30  # positions between two images of a sequence that are compared as unrelated
_MAX_STEPS = 3  # between two neighbours, in units of the sequence's median step


@dataclass(frozen=True, slots=True)
class Link:
    """Two images that belong together, and why."""

    first: LocatedImage
    second: LocatedImage
    kind: Kind
    similarity: float
    """correlation of the grey thumbnails; for `source` links the best over mirroring and quarter turns"""

    @property
    def crosses(self) -> bool:
        """Return whether it connects two splits, or the train split of one data set with another split of another."""
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
        return {"kind": self.kind, **sides, "alike": round(self.similarity, 4), "crosses": self.crosses}


def find_links(subject: Subject) -> tuple[Link, ...]:
    """Return every link within and across the data sets; each pair once, with its most certain kind."""
    found: dict[tuple[str, str], Link] = {}
    copies = (Link(p.first, p.second, "exact" if p.exact else "near", p.similarity) for p in subject.copies)
    for link in (*copies, *_source_links(subject), *_time_links(subject)):
        a, b = sorted((link.first.name, link.second.name))
        known = found.get((a, b))
        if known is None or KINDS.index(link.kind) < KINDS.index(known.kind):
            found[a, b] = link
    order = sorted(found.items(), key=lambda item: (not item[1].crosses, KINDS.index(item[1].kind), item[0]))
    return tuple(link for _, link in order)


def group_names(subject: Subject, links: Sequence[Link]) -> dict[str, dict[str, str]]:
    """Return data set → image id → group, named after the first image of the group.

    An image that is in two data sets has the same group in both.
    """
    pairs = [(link.first.name, link.second.name) for link in links]
    for name, dataset in subject.datasets.items():
        for image in dataset.images:
            located = LocatedImage(name, image).name
            pairs.append((located, located if image.group is None else f"{name}: group {image.group}"))
    group = components(pairs)
    return {
        name: {image.id: group[LocatedImage(name, image).name] for image in dataset.images}
        for name, dataset in subject.datasets.items()
    }


def groups_csv(groups: Mapping[str, str]) -> str:
    """Return the text of a CSV file with the columns image and group, as `--groups` reads it."""
    text = io.StringIO(newline="")
    table = csv_writer(text)
    table.writerow(("image", "group"))
    table.writerows(sorted(groups.items()))
    return text.getvalue()


def summary(subject: Subject, links: Sequence[Link], groups: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return as JSON values: links by kind, links across splits, number of groups and size of the largest."""
    sizes = Counter(group for members in groups.values() for group in members.values())
    return {
        "links": {kind: sum(link.kind == kind for link in links) for kind in KINDS},
        "crossing": {kind: sum(link.kind == kind and link.crosses for link in links) for kind in KINDS},
        "n_images": sum(len(dataset.images) for dataset in subject.datasets.values()),
        "n_groups": len(sizes),
        "largest_group": max(sizes.values(), default=0),
        "n_linked": sum(size for size in sizes.values() if size > 1),
    }


def _source_links(subject: Subject) -> Iterator[Link]:
    """Yield a link between consecutive exports of each Roboflow source image, across data sets too."""
    sources: dict[str, list[tuple[LocatedImage, Any]]] = defaultdict(list)
    for name, dataset in subject.datasets.items():
        for index, image in enumerate(dataset.images):
            match = ROBOFLOW_NAME.match(image.id.rsplit("/", 1)[-1])
            if match:
                sources[match["source"]].append((LocatedImage(name, image), subject.scan(name).thumbs[index]))
    for members in sources.values():
        for (first, one), (second, other) in pairwise(members):
            if first.image.path != second.image.path:
                yield Link(first, second, "source", best_turned_correlation(one, other))


def _time_links(subject: Subject) -> Iterator[Link]:
    """Yield links between consecutively numbered images that look alike; shuffled images are numbered too."""
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
            median_step = float(np.median(steps)) if steps else 1.0
            pairs = [(i, j) for (a, i), (b, j) in pairwise(members) if b - a <= _MAX_STEPS * median_step]
            scores = correlation(scan.thumbs, np.array(pairs, dtype=np.int64).reshape(-1, 2))
            required = _required_correlation(scores, _distant_pair_correlations(scan, [index for _, index in members]))
            for (i, j), score in zip(pairs, scores.tolist(), strict=True):
                if score >= required:
                    yield Link(
                        LocatedImage(name, dataset.images[i]), LocatedImage(name, dataset.images[j]), "time", score
                    )


def _required_correlation(neighbours: NDArray[np.float64], distant: NDArray[np.float64]) -> float:
    """Return the least correlation of a link: 0.9; in a sure video at most the 99 % quantile of distant pairs."""
    if len(distant) < _MIN_PAIRS or len(neighbours) < _MIN_PAIRS:
        return _MIN_CORRELATION
    error = np.sqrt(neighbours.var(ddof=1) / len(neighbours) + distant.var(ddof=1) / len(distant))
    gap = float(neighbours.mean() - distant.mean())
    is_video = gap >= MIN_CORRELATION_GAP and gap >= MIN_Z * error
    return min(_MIN_CORRELATION, float(np.quantile(distant, 0.99))) if is_video else _MIN_CORRELATION


def _distant_pair_correlations(scan: ImageScan, members: Sequence[int]) -> NDArray[np.float64]:
    """Return the correlations of random pairs of images that are far apart in a sequence."""
    drawn = np.random.default_rng(0).integers(0, len(members), (2000, 2))
    far = drawn[np.abs(drawn[:, 0] - drawn[:, 1]) > _MIN_DISTANCE]
    return correlation(scan.thumbs, np.asarray(members, dtype=np.int64)[far])
