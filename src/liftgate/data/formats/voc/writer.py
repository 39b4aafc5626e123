"""Write a Dataset as Pascal VOC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.data.formats.links import link_image, safe_names
from liftgate.data.formats.voc.annotation import SIDES
from liftgate.files import write_text
from liftgate.paths import is_file
from liftgate.progress import Progress, report_progress, silent


def write(dataset: Dataset, folder: Path, progress: Progress = silent) -> Path:
    """Write Annotations/*.xml, ImageSets/Main/*.txt and links in JPEGImages, and return `folder`.

    Coordinates have up to three decimals. Ignored and crowd objects are `difficult`. An unlabelled image
    gets no XML. `formats.losses` lists what VOC cannot represent.
    """
    names = safe_names(dataset.images)
    require_utf8_names(names, dataset.source)
    rows = np.argsort(dataset.labels.image, kind="stable")
    starts = np.searchsorted(dataset.labels.image[rows], np.arange(len(dataset.images) + 1))
    for place in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    classes = [escape(word) for word in dataset.classes]
    pairs = list(zip(dataset.images, names, strict=True))
    for index, (image, name) in enumerate(report_progress(pairs, "writing", progress)):
        if is_file(image.path):
            link_image(image.path, folder / "JPEGImages" / name)
        if image.label is not None:
            labels = dataset.labels.take(rows[starts[index] : starts[index + 1]])
            path = (folder / "Annotations" / name).with_suffix(".xml")
            path.write_bytes(_xml(image, name, labels, classes).encode("utf-8", "xmlcharrefreplace"))
    for split in dataset.splits:
        stems = [Path(name).stem for image, name in zip(dataset.images, names, strict=True) if image.split == split]
        write_text(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    return folder


def _xml(image: Image, name: str, labels: Labels, classes: Sequence[str]) -> str:
    """Return an annotation as text (building an element tree takes twice as long); `classes` are already escaped."""
    width, height = image.upright
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{escape(name)}</filename>",
        "  <size>",
        f"    <width>{width}</width>",
        f"    <height>{height}</height>",
        "    <depth>3</depth>",
        "  </size>",
    ]
    difficult = labels.ignore | labels.crowd
    for cls, box, hard in zip(labels.cls.tolist(), labels.boxes.tolist(), difficult.tolist(), strict=True):
        lines += ("  <object>", f"    <name>{classes[cls]}</name>", f"    <difficult>{int(hard)}</difficult>")
        lines.append("    <bndbox>")
        for side, value in zip(SIDES, box, strict=True):
            number = f"{value:.3f}".rstrip("0").rstrip(".")
            lines.append(f"      <{side}>{number}</{side}>")
        lines += ("    </bndbox>", "  </object>")
    return "\n".join([*lines, "</annotation>"])
