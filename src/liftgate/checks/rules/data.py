"""Rules about a data set as a whole: its paths, and what its data.yaml declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from liftgate.checks.fault_findings import describe_faults, fault_findings, faults_dropping_image, faults_of_kind
from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import plural
from liftgate.checks.rule import dataset_rule, rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import KINDS

_PATH: Mapping[str, Severity] = {
    "path_missing": "error",
    "split_missing": "error",
    "images_missing": "error",
    "split_empty": "warning",
    "path_relative": "warning",
    "path_roboflow": "warning",
    "path_elsewhere": "warning",
    "list_relative": "warning",
}
_NOWHERE = ("path_missing", "split_missing", "images_missing", "split_empty")
# Every other kind has a rule of its own, in the family that it belongs to.
_OTHER: Mapping[str, Severity] = {
    "list_not_image": "warning",
    "list_repeats": "info",
    "id_twice": "warning",
    "id_type_mixed": "warning",
    "filename_differs": "info",
    "split_unknown_image": "warning",
    "image_twice": "warning",
    "key_twice": "warning",
    "visibility_confidence": "warning",
    "crowd_only": "error",
}
_ELSEWHERE_TEXT = """
    split_shared names_mismatch names_gap names_not_text names_twice flip_idx_invalid image_missing
    image_unreadable image_small image_format jpeg_end size_differs size_rotated label_orphan label_not_text
    label_too_large row_columns row_not_number row_out_of_range row_duplicate rows_mixed class_out_of_range
    class_not_integer category_unknown category_twice box_missing box_inverted xml_broken group_unmatched
    split_unassigned split_image_gone
"""
_ELSEWHERE = frozenset(_ELSEWHERE_TEXT.split())


@rule("data.path", "error", "warning")
def path(subject: Subject) -> Iterator[Finding]:
    """Paths in a data.yaml that do not exist, or that the trainer resolves to another place than you expect.

    Ultralytics resolves a relative `path:` against the working directory, then against a global data sets folder,
    never against the YAML's own folder: the same file trains on other images, or none, depending on where the
    command was typed. Roboflow writes `train: ../train/images`, which is right only because newer versions
    correct it. Liftgate resolves against the YAML's folder and hands the trainer a file of its own with absolute paths;
    what cannot be resolved at all is an error.

    Fix: leave `path:` out, and write each split as seen from the data.yaml's own folder, without `../`:
    `train: train/images`. `--fix DIR` writes a copy whose paths are right.
    """
    for name, dataset in subject.datasets.items():
        # COCO and VOC labels without images can still be evaluated against; a study needs the pixels.
        pixels: Severity = "error" if subject.study or dataset.format == "yolo" else "warning"
        bare: Severity = "warning" if dataset.images else "error"
        severities = {**_PATH, "images_missing": pixels, "split_empty": bare}
        for finding in fault_findings(path, dataset, severities):
            yield replace(finding, data={"dataset": name, **finding.data})


@dataset_rule("data.download_key", "warning")
def download_key(dataset: Dataset) -> Iterator[Finding]:
    """A data.yaml with a `download:` key.

    Ultralytics runs it, as a shell command or as Python, when the val images are not found: a data set from an
    untrusted source is then a program from an untrusted source. Liftgate never runs it and never passes the YAML on.

    Fix: read what it does, download by hand, delete the key.
    """
    script = dataset.raw.get("download")
    if script:
        first = str(script).strip().splitlines()[0][:80]
        kind = "an address" if first.startswith(("http://", "https://")) else "a script"
        yield download_key.finding(f"{dataset.source}, download", f"`download:` holds {kind}: {first}", kind=kind)


@dataset_rule("data.empty", "error")
def empty(dataset: Dataset) -> Iterator[Finding]:
    """A data set without images, or with images and not one label.

    Training and evaluation would run without a meaningful result.

    Fix: check the path; for YOLO, labels lie in a folder `labels` beside `images`, with the same names.
    """
    if not dataset.images:
        if not faults_of_kind(dataset, *_NOWHERE):  # data.path reports where they should be
            yield empty.finding(dataset.source, "there is no image")
    elif not len(dataset.labels):
        lost = len(faults_dropping_image(dataset))
        of_rows = f": none of {plural(lost, 'row')} can be used unchanged" if lost else ""
        message = f"{plural(len(dataset.images), 'image')} and not one labelled object{of_rows}"
        hint = "see the findings about labels: all images are concerned" if lost else None
        yield empty.finding(dataset.source, message, hint=hint)
    elif not dataset.classes:
        yield empty.finding(dataset.source, "there is no class")


@dataset_rule("data.reading", "warning", "info")
def reading(dataset: Dataset) -> Iterator[Finding]:
    """Other parts of the data set that are ambiguous or could not be read.

    Repeated ids, lines of a list file that name no image, images in two records: Liftgate reads each of them in one
    way, and another tool may read it in another.

    Fix: correct the named place; each message names what was read instead.
    """
    yield from fault_findings(reading, dataset, _OTHER)
    known = set(_OTHER) | set(_PATH) | _ELSEWHERE
    for kind in Counter(fault.kind for fault in dataset.faults if fault.kind not in known):
        met = faults_of_kind(dataset, kind)
        grave = kind in KINDS and KINDS[kind].loses != "nothing"
        yield reading.finding(
            met[0].where, describe_faults(kind, met), severity="warning" if grave else "info", kind=kind, count=len(met)
        )
