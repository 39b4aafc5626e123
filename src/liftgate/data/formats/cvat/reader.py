"""Read CVAT XML 1.1 as a Dataset."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from liftgate.data.core.dataset import Dataset, Fault, Image, Keypoints
from liftgate.data.core.image_headers import ImageHeader, read_headers, reconcile_size
from liftgate.data.core.safe_names import safe_path
from liftgate.data.formats.columns import LabelColumns
from liftgate.data.formats.cvat.elements import top_elements
from liftgate.data.formats.cvat.shapes import SHAPES, BadShape, Shape, between, parse_shape
from liftgate.data.formats.cvat.tracks import TRACKS
from liftgate.errors import DataError
from liftgate.paths import is_file, lexical
from liftgate.progress import Progress, silent

_MOST_FRAMES = 10_000_000
_MOST_FILLED = 5_000_000  # a line of XML can ask for millions
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(slots=True)
class _Frame:
    """One image, or one frame of a video, with its shapes as read."""

    name: str
    width: int = 0
    height: int = 0
    split: str | None = None
    shapes: list[Shape] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)
    """Of a video: track of each shape"""
    task: str = ""
    """Of a project: task that the image is of; two tasks may have images of the same name"""
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    """(kind, where, message)"""


@dataclass(slots=True)
class _Found:
    """Contents of an XML as they are read."""

    source: Path
    labels: list[str] = field(default_factory=list)
    points: dict[str, list[str]] = field(default_factory=dict)
    """skeleton's label → names of its keypoints"""
    frames: dict[str, _Frame] = field(default_factory=dict)
    tracks: int = 0
    filled: int = 0
    video: str | None = None
    size: tuple[int, int] = (0, 0)
    faults: list[Fault] = field(default_factory=list)


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read `annotations.xml`, or a zip that CVAT exported (only the XML in it is opened, nothing is unpacked).

    Classes are the task's labels in its order. Outlines, ellipses, masks and turned boxes become the box around them,
    skeletons keypoints with the box around those. In a video, boxes that the export leaves out between key frames are
    interpolated linearly; frames are called `frame_000012`, and the video is their group. Attributes called is_crowd or
    ignore (difficult) are kept, others are not. `Labels.line` is the number of the object on its image, from 1; the
    track of each object of a video is in `Dataset.raw["tracks"]` (tracks.py).

    Raises:
        DataError: not CVAT's XML, cut off, or refused (a bomb); with the line.
    """
    found = _Found(lexical(path))
    _scan(found, progress)
    return _dataset(found, images, name, progress)


def _scan(found: _Found, progress: Progress) -> None:
    """Read the XML element by element: memory holds the shapes, not the tree."""
    for element in top_elements(found.source):
        if (take := _TAKERS.get(element.tag)) is not None:
            take(element, found)
        if len(found.frames) % 1024 == 0:
            progress("reading annotations", len(found.frames), 0)


def _take_meta(element: Element, found: _Found) -> None:
    """Read the <meta> of a task, job or project: labels with their skeletons, and name and frame size of a video."""
    labels = [label for label in element.iter("label") if label.findtext("name")]
    for label in labels:
        name, parent = label.findtext("name", "").strip(), label.findtext("parent", "").strip()
        if parent:
            found.points.setdefault(parent, []).append(name)
        elif name not in found.labels:
            found.labels.append(name)
    size = element.find(".//original_size")
    if size is not None:
        found.size = (_whole(size.findtext("width")), _whole(size.findtext("height")))
    source = element.findtext("source") or element.findtext(".//source") or element.findtext(".//task/name")
    found.video = Path(source).stem if source else None


def _take_image(element: Element, found: _Found) -> None:
    name = (
        safe_path(element.get("name") or "", keep_backslash=True) or f"image-{element.get('id') or len(found.frames)}"
    )
    task = element.get("task_id") or ""
    key = f"{task}\0{name}"
    if key in found.frames:  # two records of one image: their objects are kept apart
        key, name = f"{key}#{len(found.frames)}", f"{name}#{len(found.frames)}"
        found.faults.append(Fault("image_twice", str(found.source), f"two images are called {name}", name))
    frame = found.frames[key] = _Frame(name, task=task)
    frame.width, frame.height = _whole(element.get("width")), _whole(element.get("height"))
    frame.split = _SPLITS.get((element.get("subset") or "").lower())
    for number, child in enumerate((child for child in element if child.tag in SHAPES), 1):
        try:
            frame.shapes.append(parse_shape(child))
        except BadShape as trouble:
            kind, message = trouble.args
            frame.bad.append((kind, f"{found.source}: {name}, object {number}", message))
    for child in element.iterfind("points"):
        label = child.get("label") or "?"
        frame.bad.append(("box_missing", f"{found.source}: {name}", f"{label}: points have no box"))


def _take_track(element: Element, found: _Found) -> None:
    """Read a track: the shapes of one object by frame, interpolated between key frames, ended by `outside`."""
    found.tracks += 1
    keys: list[tuple[int, Shape | None]] = []
    for child in element:
        if child.tag not in SHAPES:
            continue
        number = _whole(child.get("frame"))
        try:
            if number >= _MOST_FRAMES:
                raise BadShape("row_not_number", f"frame {number}")
            keys.append((number, None if child.get("outside") == "1" else parse_shape(child, element.get("label"))))
        except BadShape as trouble:
            kind, message = trouble.args
            where = f"{found.source}: track {element.get('id')}, frame {number}"
            found.faults.append(Fault(kind, where, message, _frame_name(number)))
    keys.sort(key=lambda key: key[0])
    for place, (number, shape) in enumerate(keys):
        if shape is None:
            continue
        _add(found, number, shape)
        if place + 1 < len(keys):
            last, following = keys[place + 1]
            found.filled += max(0, last - number - 1)
            if found.filled > _MOST_FILLED:
                raise DataError(
                    "too many boxes between key frames", where=found.source, expected=f"at most {_MOST_FILLED}"
                )
            for gap in range(number + 1, last):
                # Before `outside` an object stays in place; otherwise it is interpolated.
                share = 0.0 if following is None else (gap - number) / (last - number)
                _add(found, gap, between(shape, following or shape, share))


_TAKERS = {"image": _take_image, "track": _take_track, "meta": _take_meta}


def _add(found: _Found, number: int, shape: Shape) -> None:
    name = _frame_name(number)
    frame = found.frames.setdefault(name, _Frame(name, *found.size))
    frame.shapes.append(shape)
    frame.tracks.append(found.tracks)


def _frame_name(number: int) -> str:
    return f"frame_{number:06d}"


def _dataset(found: _Found, images: Path | None, name: str | None, progress: Progress) -> Dataset:
    source = found.source
    frames = [found.frames[key] for key in sorted(found.frames)] if found.tracks else list(found.frames.values())
    folder = lexical(images) if images else _find_folder(source, [frame.name for frame in frames])
    for frame in frames:
        frame.name = safe_path(frame.name, folder)
    faults = list(found.faults)
    _keep_tasks_apart(frames, source, faults)
    files = [_file(folder or source.parent, frame.name) for frame in frames]
    headers = read_headers(files, progress) if folder else [ImageHeader() for _ in frames]
    if not folder and frames:
        faults.append(Fault("images_missing", str(source), f"none of {len(frames)} images found next to the XML"))
    used = {shape.label for frame in frames for shape in frame.shapes}
    classes = [label for label in found.labels if label not in found.points or label in used]
    classes += sorted(used - set(classes))
    index = {label: number for number, label in enumerate(classes)}
    points = _point_names(found, frames)
    columns = LabelColumns(len(points))
    records = []
    for place, (frame, file, header) in enumerate(zip(frames, files, headers, strict=True)):
        size, trouble = reconcile_size(header, frame.width, frame.height)
        image = Image(
            id=frame.name,
            path=file,
            width=size[0],
            height=size[1],
            split=frame.split,
            group=found.video if found.tracks else None,
            label=source,
            orientation=header.orientation,
        )
        records.append(image)
        faults += [fault for fault in (header.fault(file, image.id),) if fault]
        faults += [Fault(kind, f"{source}: {image.id}", message, image.id) for kind, message in trouble]
        faults += [Fault(kind, where, message, image.id) for kind, where, message in frame.bad]
        for number, shape in enumerate(frame.shapes, 1):
            columns.add(
                place,
                index[shape.label],
                shape.box,
                area=shape.area,
                line=number,
                crowd=shape.crowd,
                ignore=shape.ignore,
                keypoints=[value for point in points for value in shape.points.get(point, (0.0, 0.0, 0.0))],
            )
    return Dataset(
        name=name or (source.parent.name if source.name == "annotations.xml" else source.stem),
        root=folder or source.parent,
        source=source,
        format="cvat",
        classes=tuple(classes),
        images=tuple(records),
        labels=columns.table(),
        keypoints=Keypoints(points) if points else None,
        faults=tuple(faults),
        raw={TRACKS: {frame.name: tuple(frame.tracks) for frame in frames}} if found.tracks else {},
    )


def _keep_tasks_apart(frames: Sequence[_Frame], source: Path, faults: list[Fault]) -> None:
    """Prefix images of the same name in several tasks with their task: `task_7/0001.jpg`; their files are unknown."""
    count = Counter(frame.name for frame in frames)
    for frame in frames:
        if count[frame.name] > 1:
            message = f"{frame.name} is in several tasks: here it is task_{frame.task}/{frame.name}"
            frame.name = f"task_{frame.task}/{frame.name}"
            faults.append(Fault("image_twice", str(source), message, frame.name))


def _point_names(found: _Found, frames: list[_Frame]) -> tuple[str, ...]:
    """Return the keypoints of the first skeleton: as the task declares them, else the names that occur."""
    for names in found.points.values():
        return tuple(names)
    return tuple(dict.fromkeys(name for frame in frames for shape in frame.shapes for name in shape.points))


def _find_folder(source: Path, names: list[str]) -> Path | None:
    here = source.parent
    samples = names[:: max(1, len(names) // 16)]
    for folder in (here / "images", here, here / "images" / "default", here.parent / "images"):
        if any(is_file(_file(folder, safe_path(name, folder))) for name in samples):
            return folder
    return None


def _file(folder: Path, name: str) -> Path:
    """Return the file of an image; the name of a video's frame has no suffix."""
    if re.fullmatch(r"frame_\d{6,}", name):
        for suffix in (".jpg", ".PNG", ".png", ".jpeg"):
            if is_file(folder / f"{name}{suffix}"):
                return folder / f"{name}{suffix}"
    return folder / name


def _whole(text: str | None) -> int:
    try:
        return max(0, int(float(text or 0)))
    except (ValueError, OverflowError):
        return 0
