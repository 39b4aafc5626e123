"""Rules about images: unreadable files, unusual formats and sizes, missing or too many backgrounds."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftgate.checks.fault_findings import fault_findings, faults_of_kind
from liftgate.checks.finding import Finding
from liftgate.checks.messages import examples, first_few, plural
from liftgate.checks.probes.exif_frame import frame_of_labels
from liftgate.checks.rule import dataset_rule, rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unread_images

_UNIFORM = 1.0  # grey values of spread
_NOT_TAKEN_TEXT = """
    .gif .jfif .jpe .jpx .jxl .svg .psd .raw .cr2 .nef .arw .ico .ppm .pgm .mp4 .avi .mov .mkv
"""
_NOT_TAKEN = tuple(_NOT_TAKEN_TEXT.split())
_TINY, _STRIP = 32, 20  # pixels; longer side to shorter
_PLAIN_MODES = frozenset({"RGB", "L"})


@rule("images.unreadable", "error")
def unreadable(subject: Subject) -> Iterator[Finding]:
    """Image files that are not there, are no pictures, or end before the picture does.

    Ultralytics leaves them out of training and of validation with a line in the log, so two machines with two
    downloads measure on different images. A truncated JPEG it decodes half grey and writes back over the original.
    Every image is decoded here to its last byte; the header alone would pass a download cut off in the middle.

    Fix: fetch the files again (git-lfs pointers: `git lfs pull`), or take them and their labels out.
    """
    for name, dataset in subject.datasets.items():
        if faults_of_kind(dataset, "images_missing"):
            continue  # data.path reports the missing folder once
        facts = subject.scan(name).facts
        bad = [(image, fact.error) for image, fact in zip(dataset.images, facts, strict=True) if fact.error]
        if bad:
            reasons = Counter(error for _, error in bad)
            why = "; ".join(f"{error} ({count})" if len(bad) > 1 else error for error, count in reasons.most_common(3))
            message = (
                f"{plural(len(bad), 'image')} of {len(facts):,} cannot "
                f"be read: {first_few(image.id for image, _ in bad)}: {why}"
            )
            found = [{"image": image.id, "error": error} for image, error in bad]
            yield unreadable.finding(bad[0][0].path, message, dataset=name, **examples(found))


@rule("images.no_background", "info")
def no_background(subject: Subject) -> Iterator[Finding]:
    """No training image without objects.

    A detector that never saw an empty scene invents objects in one. Whether that matters depends on the camera: on
    a microscope slide there is always a cell, at a factory gate most frames are empty.

    Fix: where production has empty frames, add some (Ultralytics suggests up to 10%), each with an empty label
    file; mined false positives are the best.
    """
    for name, dataset in subject.datasets.items():
        busy = (np.bincount(dataset.labels.image, minlength=len(dataset.images)) > 0) | unread_images(dataset)
        train = np.array([image.split in {"train", None} for image in dataset.images], dtype=np.bool_)
        if train.any() and len(dataset.labels) and busy[train].all():
            message = f"every one of the {plural(int(train.sum()), 'training image')} shows an object"
            yield no_background.finding(dataset.source, message, dataset=name, images=int(train.sum()))


@dataset_rule("images.mostly_background", "info")
def mostly_background(dataset: Dataset) -> Iterator[Finding]:
    """More than half of the training images show no object.

    Backgrounds up to a tenth keep false positives down; beyond that every epoch spends most of its time on images that
    teach only once. Labels that were lost in an export look like this too.

    Fix: leave most of them out of train (keep them in val and test, where production has them); if they should show
    something, export the labels again.
    """
    train = np.array([image.split in {"train", None} for image in dataset.images], dtype=np.bool_)
    # Images without a label file are another matter: labels.missing.
    looked_at = train & np.array([image.label is not None for image in dataset.images], dtype=np.bool_)
    busy = (np.bincount(dataset.labels.image, minlength=len(dataset.images)) > 0) | unread_images(dataset)
    bare = int((looked_at & ~busy).sum())
    if bare > train.sum() / 2 and len(dataset.labels):
        message = f"{bare:,} of {plural(int(train.sum()), 'training image')} show no object"
        yield mostly_background.finding(dataset.source, message, backgrounds=bare, images=int(train.sum()))


@rule("images.uniform", "warning")
def uniform(subject: Subject) -> Iterator[Finding]:
    """Images of one colour.

    A lens cap, a failed decode, an empty canvas. With labels on it, it teaches nonsense.

    Fix: take them out; if a video decoder wrote them, extract the frames again.
    """
    for name, dataset in subject.datasets.items():
        facts = subject.scan(name).facts
        plain = [
            image.id
            for image, fact in zip(dataset.images, facts, strict=True)
            if fact.error is None and fact.spread < _UNIFORM
        ]
        if plain:
            message = f"{plural(len(plain), 'image is', 'images are')} of one colour: {first_few(plain)}"
            yield uniform.finding(dataset.source, message, dataset=name, **examples(plain))


@rule("images.mode", "info")
def mode(subject: Subject) -> Iterator[Finding]:
    """Images stored in an unusual way: with transparency, palette, 16 bits, CMYK.

    They are converted on loading, and not every tool converts alike: transparency becomes black or white, 16 bits are
    clipped or scaled. What production sends should be stored as what was trained on.

    Fix: convert to 8-bit RGB once, with a converter that you choose.
    """
    for name, dataset in subject.datasets.items():
        facts = subject.scan(name).facts
        odd = Counter(fact.mode for fact in facts if fact.error is None and fact.mode not in _PLAIN_MODES)
        if odd:
            ids = [i.id for i, f in zip(dataset.images, facts, strict=True) if not f.error and f.mode in odd]
            kinds = ", ".join(f"{kind} {count}" for kind, count in odd.most_common())
            message = f"{plural(len(ids), 'image')} neither RGB nor grey ({kinds}): {first_few(ids)}"
            yield mode.finding(dataset.source, message, dataset=name, modes=dict(odd), **examples(ids))


@dataset_rule("images.exif_rotation", "warning", "error", "info")
def exif_rotation(dataset: Dataset) -> Iterator[Finding]:
    """Images with an EXIF rotation, where labels may be drawn on the unrotated image.

    Ultralytics loads the image rotated. Boxes drawn in a tool that ignores EXIF are then misplaced, and only on photos
    taken with an upright phone. The image size in the labels does not decide it: Label Studio writes the stored size
    beside boxes of the rotated image. Boxes that fit into only one of the two frames decide it, else the geometry probe
    on these images alone; otherwise it is unknown.

    Fix: rotate the pixels and remove the EXIF tag (for example `exiftran -ai`), then check the boxes.
    """
    turned = [image.id for image in dataset.images if image.orientation != 1]
    if not turned:
        return
    frame, why = frame_of_labels(dataset)
    data = {**examples(turned), "frame": frame}
    message = f"{plural(len(turned), 'image carries', 'images carry')} an EXIF rotation: {first_few(turned)}"
    if frame == "stored":
        message += f"; their boxes are drawn on the unrotated image ({why})"
        yield exif_rotation.finding(dataset.source, message, severity="error", **data)
    elif frame == "upright":
        message += f"; their boxes are right ({why})"
        yield exif_rotation.finding(dataset.source, message, severity="info", **data)
    elif faults_of_kind(dataset, "size_rotated"):
        message += "; their labels give the unrotated size: whether the boxes are unrotated too is unknown"
        hint = "draw the boxes of one such image and check them"
        yield exif_rotation.finding(dataset.source, message, hint=hint, **data)
    else:
        message += "; whether their boxes are drawn on the rotated image cannot be known from them"
        yield exif_rotation.finding(dataset.source, message, severity="info", **data)


@dataset_rule("images.size", "warning")
def size(dataset: Dataset) -> Iterator[Finding]:
    """Images whose size differs from that in the labels, tiny ones, and strips.

    Labels made on another size are right only if the tool used fractions. Ultralytics drops images under 10 pixels;
    one under 32 is a thumbnail or a crop, smaller than a cell of the coarsest grid. A strip (20:1) keeps a twentieth
    of imgsz for its shorter side.

    Fix: export the labels again for the images as they are; take thumbnails out; cut strips into tiles.
    """
    yield from fault_findings(size, dataset, {"size_differs": "warning", "image_small": "warning"})
    sides = np.array([(image.width, image.height) for image in dataset.images], dtype=np.float64).reshape(-1, 2)
    short, long = sides.min(axis=1), sides.max(axis=1)
    tiny = np.flatnonzero((short >= 10) & (short < _TINY))
    strips = np.flatnonzero((short >= _TINY) & (long > _STRIP * short))
    for rows, what in ((tiny, f"a side under {_TINY} pixels"), (strips, f"a shape beyond {_STRIP}:1")):
        if len(rows):
            ids = [dataset.images[int(i)].id for i in rows]
            yield size.finding(
                dataset.source,
                f"{plural(len(ids), 'image has', 'images have')} {what}: {first_few(ids)}",
                **examples(ids),
            )


@dataset_rule("images.mixed_sizes", "info")
def mixed_sizes(dataset: Dataset) -> Iterator[Finding]:
    """Images of very different sizes.

    Everything is scaled to imgsz: an object of 60 pixels in a picture of 4,000 is 10 in one of 640. Sizes that differ
    four times between splits mean that the splits come from different cameras.

    Fix: cut large images into tiles, or keep cameras apart as slices of the evaluation.
    """
    longest = np.array([max(image.width, image.height) for image in dataset.images if image.width > 0])
    if len(longest) and longest.max() > 4 * longest.min():
        message = (
            f"the longer side runs from {longest.min()} to {longest.max()} pixels (median {np.median(longest):.0f})"
        )
        yield mixed_sizes.finding(dataset.source, message, low=int(longest.min()), high=int(longest.max()))


@dataset_rule("images.format", "warning", "info")
def format_(dataset: Dataset) -> Iterator[Finding]:
    """Image files that Ultralytics does not read, or modifies without asking.

    A GIF is dropped, and so is what has a suffix that the loader does not know (`.jfif`, `.jxl`, a video). A JPEG
    without its end marker is decoded, and then written over the original: the data set changes its bytes, and with
    them every hash, by being trained on.

    Fix: convert them to JPEG or PNG first.
    """
    yield from fault_findings(format_, dataset, {"image_format": "warning", "jpeg_end": "info"})
    odd = [file for folder in sorted({image.path.parent for image in dataset.images}) for file in _passed_over(folder)]
    if odd and dataset.format == "yolo":
        named = first_few(file.name for file in odd)
        message = f"{plural(len(odd), 'file')} among the images that no loader takes for an image: {named}"
        yield format_.finding(odd[0], message, severity="info", **examples([str(file) for file in odd]))


def _passed_over(folder: Path) -> list[Path]:
    """Return pictures and videos with a suffix that readers skip silently."""
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return []
    odd = [file for file in files if file.name.lower().endswith(_NOT_TAKEN) and not file.name.startswith(".")]
    return [file for file in odd if file.is_file()]  # a link that leads to itself is no file, and no exception


@dataset_rule("images.names", "warning", "error")
def names(dataset: Dataset) -> Iterator[Finding]:
    """File names that collide on another computer, equal but for case or how an accent is written, or are no text.

    On macOS and Windows the second file overwrites the first, and one label file serves two pictures. `A.jpg` and
    `A.png` in one folder share `A.txt` everywhere. A name with bytes that are not UTF-8 fits into no list of images,
    no JSON and no XML: predictions could not be written (error).

    Fix: rename one of each; rename what is not UTF-8.
    """
    if no_text := [image.id for image in dataset.images if not _is_text(image.id)]:
        message = f"{plural(len(no_text), 'name')} with bytes that are not UTF-8: {first_few(no_text)}"
        yield names.finding(dataset.source, message, severity="error", **examples(no_text))
    spelt: dict[str, list[str]] = defaultdict(list)
    stems: dict[str, list[str]] = defaultdict(list)
    for image in dataset.images:
        spelt[unicodedata.normalize("NFC", image.id).casefold()].append(image.id)
        if dataset.format == "yolo":
            stems[image.id.rpartition(".")[0]].append(image.id)
    collide = [ids for ids in spelt.values() if len(ids) > 1]
    shared = [ids for ids in stems.values() if len(ids) > 1]
    if collide:
        named = first_few(" / ".join(ids) for ids in collide)
        message = f"{plural(len(collide), 'name')} that some file systems take for equal: {named}"
        yield names.finding(dataset.source, message, **examples(collide))
    if shared:
        message = (
            f"{plural(len(shared), 'label file serves', 'label files serve')} "
            f"two images: {first_few(' / '.join(i) for i in shared)}"
        )
        yield names.finding(dataset.source, message, **examples(shared))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
