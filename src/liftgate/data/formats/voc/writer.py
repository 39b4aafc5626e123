"""Dataset → Pascal VOC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from liftgate.data.dataset import Dataset, Image, Labels
from liftgate.data.formats.links import link_image, safe_names
from liftgate.data.formats.voc.annotation import SIDES
from liftgate.files import write_text
from liftgate.progress import Progress, silent, told


def write(dataset: Dataset, folder: Path, progress: Progress = silent) -> Path:
    """Write Annotations/*.xml, ImageSets/Main/*.txt and links in JPEGImages; returns `folder`.

    Coordinates have up to three decimals. `difficult` says ignored or crowd. An image that nobody has labelled gets no
    XML. What VOC cannot hold is in `formats.writing.losses`.
    """
    names = safe_names(dataset.images)
    rows = np.argsort(dataset.labels.image, kind="stable")
    starts = np.searchsorted(dataset.labels.image[rows], np.arange(len(dataset.images) + 1))
    for place in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    pairs = list(zip(dataset.images, names, strict=True))
    for index, (image, name) in enumerate(told(pairs, "writing", progress)):
        if image.path.is_file():
            link_image(image.path, folder / "JPEGImages" / name)
        if image.label is not None:
            labels = dataset.labels.take(rows[starts[index] : starts[index + 1]])
            # As text first: straight to bytes, ElementTree starts a codec for every word.
            text = tostring(_element(image, name, labels, dataset.classes), "unicode")
            path = (folder / "Annotations" / name).with_suffix(".xml")
            path.write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
    for split in dataset.splits:
        stems = [Path(name).stem for image, name in zip(dataset.images, names, strict=True) if image.split == split]
        write_text(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return folder


def _element(image: Image, name: str, labels: Labels, classes: Sequence[str]) -> Element:
    root = Element("annotation")
    SubElement(root, "folder").text = "JPEGImages"
    SubElement(root, "filename").text = name
    size = SubElement(root, "size")
    for side, value in zip(("width", "height", "depth"), (*image.upright, 3), strict=True):
        SubElement(size, side).text = str(value)
    difficult = labels.ignore | labels.crowd
    for cls, box, hard in zip(labels.cls.tolist(), labels.boxes.tolist(), difficult.tolist(), strict=True):
        thing = SubElement(root, "object")
        SubElement(thing, "name").text = classes[cls]
        SubElement(thing, "difficult").text = str(int(hard))
        sides = SubElement(thing, "bndbox")
        for side, value in zip(SIDES, box, strict=True):
            SubElement(sides, side).text = f"{value:.3f}".rstrip("0").rstrip(".")
    indent(root)
    return root
