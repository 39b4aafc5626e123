"""Parse one VOC XML; mistakes in it are collected, not raised."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from liftgate.documents import DocumentError, Limits, parse_xml

_LARGEST_SIDE = 1e6  # pixels
_FARTHEST = 1e9  # a larger coordinate is refused, so that no product of two overflows later
SIDES = ("xmin", "ymin", "xmax", "ymax")
_LIMITS = Limits(size=4 << 20)  # 13,000 objects; of nested tags a parser makes a hundred times as much memory


@dataclass(frozen=True, slots=True)
class VocObject:
    """One object of an XML; `number` counts from 1."""

    number: int
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(slots=True)
class VocAnnotation:
    """Contents of one XML."""

    width: int = 0
    height: int = 0
    filename: str = ""
    objects: list[VocObject] = field(default_factory=list)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    """(kind, where, message)"""


def parse_annotation(file: Path) -> VocAnnotation:
    """Parse one VOC XML; mistakes are in `bad`, none is raised."""
    annotation = VocAnnotation()
    try:
        if file.stat().st_size > _LIMITS.size:
            annotation.bad.append(("label_too_large", str(file), "over 4 MiB"))
            return annotation
        tree = parse_xml(file.read_bytes(), _LIMITS)
    except DocumentError as error:
        annotation.bad.append(("xml_broken", error.place(file), error.problem))
        return annotation
    except OSError as error:
        annotation.bad.append(("xml_broken", str(file), f"{type(error).__name__}: {error}"[:200]))
        return annotation
    for element in tree.iter():  # namespaces are ignored: <{http://…}object> is an object
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    if tree.tag != "annotation":
        annotation.bad.append(("xml_broken", str(file), f"<{tree.tag}>, expected <annotation>"[:120]))
        return annotation
    annotation.filename = (tree.findtext("filename") or "").strip()
    annotation.width, annotation.height = (_whole(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    for number, element in enumerate(tree.iter("object"), 1):
        outcome = _parse_object(element, number)
        if isinstance(outcome, VocObject):
            annotation.objects.append(outcome)
        else:
            annotation.bad.append((outcome[0], f"{file}: object {number}", outcome[1]))
    return annotation


def _parse_object(element: Element, number: int) -> VocObject | tuple[str, str]:
    name = (element.findtext("name") or "").strip()
    if not name:
        return "row_columns", "an object without a name"
    sides = element.find("bndbox")
    if sides is None:
        return "box_missing", f"{name} without <bndbox>"
    texts = {side: sides.findtext(side) for side in SIDES}
    try:
        left, top, right, bottom = (float(texts[side] or "") for side in SIDES)
    except ValueError:
        return "row_not_number", f"{name}: {_shown(texts)}"
    if not all(abs(number) < _FARTHEST for number in (left, top, right, bottom)):
        return "row_not_number", f"{name}: {_shown(texts)}"
    if right < left or bottom < top:
        return "box_inverted", f"{name}: {_shown(texts)}"
    difficult = (element.findtext("difficult") or "").strip().lower() in ("1", "true")
    return VocObject(number, name, (left, top, right, bottom), difficult)


def _whole(text: str | None) -> int:
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return int(number) if 0 < number < _LARGEST_SIDE else 0


def _shown(texts: dict[str, str | None]) -> str:
    return str(texts)[:120]
