"""The kinds of fault that readers record, what they leave out, and what Ultralytics 8.4 does in the same case.

The table is the documentation: `docs/formats.md` shows it, a test compares the two, and the checks take from here
whether training would lose the row, the image or the whole split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Fault

Loses = Literal["nothing", "row", "image", "split", "dataset"]

UNREAD_OBJECTS = frozenset(
    (
        "row_columns",
        "row_not_number",
        "row_out_of_range",
        "class_out_of_range",
        "class_not_integer",
        "category_unknown",
        "box_missing",
        "box_inverted",
        "label_not_text",
        "label_too_large",
        "xml_broken",
    )
)
"""Kinds of fault by which objects of an image are left out, so that its labels are incomplete or missing."""


IN_PIXELS = frozenset(("coco", "voc", "cvat"))
"""Formats whose boxes are read without the size of their image"""


def unread_images(dataset: Dataset) -> NDArray[np.bool_]:
    """Return the mask (images,) of those with a label file from which no object could be read.

    Such an image is not empty: its objects are unknown. It is never written as an image without objects.
    """
    without_size = [image.label is not None and not min(image.width, image.height) for image in dataset.images]
    return _without_objects(dataset) & (_with_unread_rows(dataset) | np.array(without_size, dtype=np.bool_))


def unknown_truth(dataset: Dataset) -> NDArray[np.bool_]:
    """Return the mask (images,) of those that predictions cannot be measured on: what is on them is unknown.

    These are the unread images, but for those without a size in a format whose boxes need none.
    """
    if dataset.format in IN_PIXELS:
        return _without_objects(dataset) & _with_unread_rows(dataset)
    return unread_images(dataset)


def _without_objects(dataset: Dataset) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = np.bincount(dataset.labels.image, minlength=len(dataset.images)) == 0
    return empty


def _with_unread_rows(dataset: Dataset) -> NDArray[np.bool_]:
    named = {fault.image for fault in dataset.faults if fault.kind in UNREAD_OBJECTS}
    return np.array([image.id in named for image in dataset.images], dtype=np.bool_)


def fault_counts(faults: Sequence[Fault]) -> dict[str, int]:
    """Return how often each kind of fault occurs, by the name of the kind."""
    return dict(sorted(Counter(fault.kind for fault in faults).items()))


def fault_line(dataset: Dataset) -> str:
    """Return one sentence on the faults of a dataset and what was left out; empty without faults."""
    if not dataset.faults:
        return ""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in fault_counts(dataset.faults).items())
    unread = np.flatnonzero(unread_images(dataset))
    more = (
        f"; no object of {len(unread):,} images could be read, such as {dataset.images[unread[0]].id}"
        if len(unread)
        else ""
    )
    return f"{dataset.name} was read with faults ({kinds}{more}): `liftgate check` shows where"


class FaultKind(NamedTuple):
    """One kind of fault."""

    meaning: str
    reader: str
    """What Liftgate's reader does with it."""
    ultralytics: str
    """What Ultralytics 8.4 does with it, where it reads that format (YOLO)."""
    loses: Loses = "nothing"
    """What Ultralytics would train without."""


_DROPS = "drops the whole image, also from val, with one log line"
_NOT_READ = "does not read this format"

KINDS: dict[str, FaultKind] = {
    # data.yaml
    "path_missing": FaultKind("`path:` names no folder", "uses the YAML's folder", "stops", "dataset"),
    "path_relative": FaultKind(
        "`path:` is relative",
        "resolves it against the YAML's folder",
        "tries the working directory, then its own data sets folder, never the YAML's folder",
        "dataset",
    ),
    "path_roboflow": FaultKind(
        "a split written as Roboflow does (`../train/images`) is not there, but it is without the `../`",
        "uses that",
        "8.4 does the same; versions before 8.0.200 stop",
    ),
    "path_elsewhere": FaultKind(
        "a split is not below `path:` but beside the YAML", "uses the one beside the YAML", "stops", "dataset"
    ),
    "split_missing": FaultKind(
        "a declared split is not there", "leaves it out", "stops for val, fails later for train", "split"
    ),
    "split_empty": FaultKind("a split has no image", "leaves it empty", "stops", "split"),
    "split_shared": FaultKind(
        "two splits hold the same image files", "gives them to the first of train, val, test", "uses them in both"
    ),
    "list_relative": FaultKind(
        "a list file has lines that are relative without `./`",
        "resolves them against the list's folder, then `path:`",
        "resolves them against the working directory",
        "image",
    ),
    "list_not_image": FaultKind(
        "a list file has lines that end in no image suffix",
        "leaves them out",
        "leaves them out silently",
        "image",
    ),
    "list_repeats": FaultKind("a list file names an image more than once", "counts it once", "trains on every repeat"),
    "names_mismatch": FaultKind("`nc` is not the number of names", "believes the names", "stops", "dataset"),
    "names_gap": FaultKind("the keys of `names` are not 0 … n−1", "fills in class_<i>", "stops", "dataset"),
    "names_not_text": FaultKind(
        "a class name is no text in YAML (`no` is false, `1` a number)", "takes its spelling in Python", "does the same"
    ),
    "names_twice": FaultKind("two classes have the same name", "keeps both", "keeps both"),
    "key_twice": FaultKind("a key occurs twice in the YAML", "takes the last", "silently takes the last"),
    "flip_idx_invalid": FaultKind(
        "`flip_idx` is no permutation of the keypoints", "ignores it", "stops, or mirrors keypoints wrongly", "dataset"
    ),
    # images
    "image_missing": FaultKind("a named image is not there", "keeps its record without pixels", _DROPS, "image"),
    "image_unreadable": FaultKind("an image's header cannot be read", "keeps its record with size 0", _DROPS, "image"),
    "image_small": FaultKind("an image is under 10 pixels wide or high", "keeps it", _DROPS, "image"),
    "image_format": FaultKind("a format that Ultralytics does not take", "keeps it", _DROPS, "image"),
    "jpeg_end": FaultKind(
        "a JPEG does not end with its end marker: cut off, or something is appended",
        "keeps it",
        "decodes what is there and rewrites the file in place",
    ),
    "images_missing": FaultKind("none of the images is there", "believes the sizes in the labels", "stops", "dataset"),
    "size_differs": FaultKind("the labels' image size is not the file's", "believes the file", _NOT_READ),
    "size_rotated": FaultKind(
        "the labels' image size is the file's before its EXIF rotation: the boxes were drawn on the unrotated image",
        "leaves the boxes as they are",
        "loads images rotated: these boxes would be wrong",
    ),
    "image_twice": FaultKind("two records for one image (id or file)", "keeps the first id, both files", _NOT_READ),
    # labels
    "label_orphan": FaultKind("labels without an image", "leaves them out", "never looks at them"),
    "label_not_text": FaultKind("a label file is not UTF-8 text", "leaves it out", _DROPS, "image"),
    "label_too_large": FaultKind("a label file is over 64 MiB (an XML of VOC: 4 MiB)", "leaves it out", "reads it"),
    "row_columns": FaultKind("a row has the wrong number of columns", "leaves the row out", _DROPS, "image"),
    "row_not_number": FaultKind(
        "a value is missing, no number, NaN or infinite", "leaves the row out", _DROPS, "image"
    ),
    "row_out_of_range": FaultKind(
        "a coordinate is over 1.01 or under −0.01, or a size is negative", "leaves the row out", _DROPS, "image"
    ),
    "row_duplicate": FaultKind("a row occurs twice in one file", "keeps the first", "keeps the first", "row"),
    "rows_mixed": FaultKind("a file mixes boxes and outlines", "takes both as boxes", _DROPS, "image"),
    "visibility_confidence": FaultKind(
        "a keypoint's visibility is not 0, 1 or 2, as where a model's confidence was written",
        "takes any above 0 for visible",
        "trains on every keypoint whose visibility is not 0",
    ),
    "crowd_only": FaultKind(
        "every object is a crowd, as masks exported by CVAT or SAM are",
        "keeps them: there is nothing to find, and nothing to train on",
        _NOT_READ,
    ),
    "class_out_of_range": FaultKind("a class index is negative or ≥ nc", "leaves the row out", _DROPS, "image"),
    "class_not_integer": FaultKind("a class index is no whole number", "leaves the row out", _DROPS, "image"),
    # COCO
    "category_unknown": FaultKind("an annotation's category is not declared", "leaves it out", _NOT_READ),
    "category_twice": FaultKind("a category id occurs twice", "keeps the first", _NOT_READ),
    "box_missing": FaultKind("an object without a box", "leaves it out", _NOT_READ),
    "box_inverted": FaultKind("a box has a negative width or height", "leaves it out", _NOT_READ),
    "id_twice": FaultKind("two annotations have the same id", "keeps both", _NOT_READ),
    "id_type_mixed": FaultKind(
        "image ids are numbers in one place and text in another", "matches them by their spelling", _NOT_READ
    ),
    # VOC
    "xml_broken": FaultKind("XML that cannot be parsed, or that is refused", "leaves its labels out", _NOT_READ),
    "filename_differs": FaultKind("<filename> is not the name of the XML", "goes by the name of the XML", _NOT_READ),
    "split_unknown_image": FaultKind("a split list names an image that is not there", "leaves it out", _NOT_READ),
    # groups and splits
    "group_unmatched": FaultKind(
        "the rule for groups fits only some images", "makes every other image a group of its own", "knows no groups"
    ),
    "split_unassigned": FaultKind(
        "images that the frozen split does not name", "gives them no split", "knows no split"
    ),
    "split_image_gone": FaultKind("the frozen split names images that are gone", "goes on", "knows no split"),
}
