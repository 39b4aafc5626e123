"""Names of the weights that Ultralytics publishes (as of 8.4): what may be named without a file being there."""

from __future__ import annotations

from liftgate import suggestions

_SIZES = "nsmlx"
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "yolov8": (_SIZES, ("", "-cls", "-seg", "-pose", "-obb", "-oiv7")),
    "yolo11": (_SIZES, ("", "-cls", "-seg", "-pose", "-obb")),
    "yolo12": (_SIZES, ("",)),
    "yolo26": (_SIZES, ("", "-cls", "-seg", "-pose", "-obb", "-sem", "-depth")),
    "yolov5": (_SIZES, ("u", "6u")),
    "yolov9": ("tsmce", ("",)),
    "yolov10": ("nsmblx", ("",)),
    "rtdetr-": ("lx", ("",)),
}
OFFICIAL = frozenset(
    f"{family}{size}{suffix}.pt"
    for family, (sizes, suffixes) in _FAMILIES.items()
    for size in sizes
    for suffix in suffixes
) | {"yolov3u.pt", "yolov3-spp.pt", "yolov3-tinyu.pt", "yolov8x-pose-p6.pt"}


def nearest(name: str) -> str | None:
    """Return the published name that somebody probably meant.

    >>> nearest("yolo8n.pt"), nearest("yolov11n.pt")
    ('yolov8n.pt', 'yolo11n.pt')
    """
    lowered = name.lower() if name.lower().endswith(".pt") else f"{name.lower()}.pt"
    for spelling in (lowered.replace("yolov", "yolo"), lowered.replace("yolo", "yolov")):  # only 11 and later have no v
        if spelling in OFFICIAL:
            return spelling
    return suggestions.nearest(lowered, OFFICIAL, cutoff=0.8)
