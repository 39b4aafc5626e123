"""Dataset → CVAT XML 1.1 for images: import it into a task that has these images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from liftgate.data.dataset import Dataset, Image, Labels
from liftgate.data.formats.links import link_image
from liftgate.files import replacing


def write(dataset: Dataset, folder: Path) -> Path:
    """Write `annotations.xml` and links in `images/`; returns the XML.

    Objects with a labelled keypoint become skeletons, which have no box of their own in CVAT. Crowd and ignored are
    attributes. Written image by image, so that memory does not grow with the data.
    """
    path = folder / "annotations.xml"
    rows = np.argsort(dataset.labels.image, kind="stable")
    starts = np.searchsorted(dataset.labels.image[rows], np.arange(len(dataset.images) + 1))
    with replacing(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(_meta(dataset))
        for index, image in enumerate(dataset.images):
            labels = dataset.labels.take(rows[starts[index] : starts[index + 1]])
            file.writelines(_image(index, image, labels, dataset))
        file.write("</annotations>\n")
    for image in dataset.images:
        if image.path.is_file():
            link_image(image.path, folder / "images" / image.id)
    return path


def _meta(dataset: Dataset) -> str:
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
    return f"  <meta><task><name>{escape(dataset.name)}</name><labels>\n{labels}  </labels></task></meta>\n"


def _image(number: int, image: Image, labels: Labels, dataset: Dataset) -> Iterator[str]:
    width, height = image.upright
    subset = f" subset={quoteattr(image.split)}" if image.split else ""
    yield f'  <image id="{number}" name={quoteattr(image.id)}{subset} width="{width}" height="{height}">\n'
    for row in range(len(labels)):
        label = quoteattr(dataset.classes[labels.cls[row]])
        flags = "".join(
            f'<attribute name="{name}">true</attribute>'
            for name, column in (("is_crowd", labels.crowd), ("ignore", labels.ignore))
            if column[row]
        )
        points = None if labels.keypoints is None else labels.keypoints[row]
        if points is None or dataset.keypoints is None or not (points[:, 2] > 0).any():
            sides = zip(("xtl", "ytl", "xbr", "ybr"), labels.boxes[row].tolist(), strict=True)
            at = " ".join(f'{side}="{_short(value)}"' for side, value in sides)
            yield f'    <box label={label} source="file" occluded="0" {at} z_order="0">{flags}</box>\n'
            continue
        yield f'    <skeleton label={label} source="file" z_order="0">{flags}\n'
        for name, (x, y, seen) in zip(dataset.keypoints.names, points.tolist(), strict=True):
            state = f'outside="{int(seen <= 0)}" occluded="{int(seen == 1)}"'
            yield f'      <points label={quoteattr(name)} {state} points="{_short(x)},{_short(y)}"/>\n'
        yield "    </skeleton>\n"
    yield "  </image>\n"


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
