"""Write a Dataset as CVAT XML 1.1, for images or with the tracks of a video, to import into a task of these images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.data.formats.cvat.tracks import track_of, track_runs
from liftgate.data.formats.links import link_images
from liftgate.files import replacing
from liftgate.progress import Progress, report_progress, silent


def write(dataset: Dataset, folder: Path, progress: Progress = silent) -> Path:
    """Write `annotations.xml` and links in `images/`, and return the path of the XML.

    Objects with a labelled keypoint become skeletons, which have no box of their own in CVAT. Crowd and ignored are
    attributes. Tracks of a video are written as tracks, with every frame a key frame. The XML is written image by
    image, so that memory does not grow with the data.
    """
    require_utf8_names((image.id for image in dataset.images), dataset.source)
    path = folder / "annotations.xml"
    rows = np.argsort(dataset.labels.image, kind="stable")
    starts = np.searchsorted(dataset.labels.image[rows], np.arange(len(dataset.images) + 1))
    names = [quoteattr(name) for name in dataset.classes]
    points = [quoteattr(name) for name in dataset.keypoints.names] if dataset.keypoints else []
    tracks = track_of(dataset)
    with replacing(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(_meta(dataset, tracks is not None))
        if tracks is not None:
            file.writelines(_tracks(dataset, tracks, names))
        for index, image in enumerate(
            () if tracks is not None else report_progress(dataset.images, "writing labels", progress)
        ):
            labels = dataset.labels.take(rows[starts[index] : starts[index + 1]])
            file.writelines(_image(index, image, labels, names, points))
        file.write("</annotations>\n")
    link_images(dataset.images, folder / "images", progress)
    return path


def _meta(dataset: Dataset, tracked: bool) -> str:
    flags = "".join(
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>checkbox</input_type>"
        "<default_value>false</default_value><values>false</values></attribute>"
        for name in ("is_crowd", "ignore")
    )
    lines = [f"<label><name>{escape(name)}</name><attributes>{flags}</attributes></label>" for name in dataset.classes]
    if dataset.keypoints:
        lines += [
            f"<label><name>{escape(point)}</name><parent>{escape(dataset.classes[0])}</parent></label>"
            for point in dataset.keypoints.names
        ]
    labels = "".join(f"    {line}\n" for line in lines)
    more = ""
    if tracked:
        first = dataset.images[0]
        size = "<original_size><width>{}</width><height>{}</height></original_size>".format(*first.upright)
        source = "" if first.group is None else f"<source>{escape(first.group)}</source>"
        more = f"<mode>interpolation</mode>{size}{source}"
    return f"  <meta><task><name>{escape(dataset.name)}</name>{more}<labels>\n{labels}  </labels></task></meta>\n"


_BOX = '    <box %s source="file" occluded="0" xtl="%.12g" ytl="%.12g" xbr="%.12g" ybr="%.12g" z_order="0">%s</box>\n'
_FLAGS = {
    (crowd, ignore): ('<attribute name="is_crowd">true</attribute>' if crowd else "")
    + ('<attribute name="ignore">true</attribute>' if ignore else "")
    for crowd in (False, True)
    for ignore in (False, True)
}


def _image(number: int, image: Image, labels: Labels, names: Sequence[str], points: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one image; `names` and `points` (of classes and keypoints) are already quoted."""
    width, height = image.upright
    subset = f" subset={quoteattr(image.split)}" if image.split else ""
    yield f'  <image id="{number}" name={quoteattr(image.id)}{subset} width="{width}" height="{height}">\n'
    skeletons = _skeletons(labels) if points else frozenset()
    columns = (labels.cls, labels.boxes.round(3), labels.crowd, labels.ignore)
    for row, (cls, box, *flags) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if row in skeletons and labels.keypoints is not None:
            yield f'    <skeleton label={names[cls]} source="file" z_order="0">{_FLAGS[flags[0], flags[1]]}\n'
            for name, (x, y, seen) in zip(points, labels.keypoints[row].round(3).tolist(), strict=True):
                state = f'outside="{int(seen <= 0)}" occluded="{int(seen == 1)}"'
                yield f'      <points label={name} {state} points="{x:.12g},{y:.12g}"/>\n'
            yield "    </skeleton>\n"
        else:
            yield _BOX % (f"label={names[cls]}", *box, _FLAGS[flags[0], flags[1]])
    yield "  </image>\n"


def _tracks(dataset: Dataset, tracks: NDArray[np.int64], names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the tracks; a box with `outside` marks the frame after a track's last."""
    labels, boxes = dataset.labels, dataset.labels.boxes.round(3).tolist()
    for track, run in track_runs(dataset, tracks):
        yield f'  <track id="{track}" label={names[labels.cls[run[0][1]]]} source="file">\n'
        for frame, row, ends in run:
            flags = _FLAGS[bool(labels.crowd[row]), bool(labels.ignore[row])]
            yield _BOX % (f'frame="{frame}" keyframe="1" outside="0"', *boxes[row], flags)
            if ends:
                yield _BOX % (f'frame="{frame + 1}" keyframe="1" outside="1"', *boxes[row], flags)
        yield "  </track>\n"


def _skeletons(labels: Labels) -> frozenset[int]:
    """Return the rows with a labelled keypoint."""
    if labels.keypoints is None:
        return frozenset()
    return frozenset(np.flatnonzero((labels.keypoints[..., 2] > 0).any(axis=1)).tolist())
