"""Build the demo's data set: 40 videos of 8 frames, YOLO labels and three planted faults."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import xyxy_to_cxcywh
from liftgate.demo import scenes
from liftgate.errors import UsageError
from liftgate.files import write_bytes, write_text

CLASSES = {"two": 2, "five": 5, "seven": 7}
"""Three digits that change when mirrored: a mirrored 2 is nearly a 5."""
GROUPS = r"^(?P<group>video\d+)_"
"""Pattern of a group, which must stay in one split: the frames of a video"""
LICENCE = "CC-BY-4.0"
"""Of the handwriting: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998."""

N_VIDEOS, N_FRAMES = 40, 8
_TRAIN, _VAL = 18, 4  # videos; the rest is test
_WANTED, _OTHERS = 4, 1  # digits in a video: of the three classes, and of the seven others
_EMPTY = (7, 30)  # videos without any of the three classes: background images
_LEAKED = (24, 31, 37)  # test videos whose every second frame went to train
TRANSPOSED = [1, 0, 3, 2]
"""Order of x, y, width and height as the exporter wrote them"""
_IN_PIXELS = 11  # the train video whose labels were exported in pixels instead of fractions


WrittenDigit = tuple[NDArray[np.float64], int | None]
"""(8, 8) ink in 0 … 1, and its class; None: of none of the three"""


class DemoDataset(NamedTuple):
    """Where the data set is, and its size."""

    data_yaml: Path
    n_images: int
    n_videos: int


def build_dataset(folder: Path, seed: int = 0) -> DemoDataset:
    """Write the data set to `folder` and return the path of its data.yaml; a complete data set is left as it is.

    No written digit is in two videos, so a split by video is a split by handwriting too. Three faults are
    planted: the exporter wrote y before x, which no hyper-parameter corrects; frames of three videos are in train and
    in test; one video's labels are in pixels.

    Raises:
        UsageError: scikit-learn, which ships the handwriting, is not installed.
    """
    data_yaml = folder / "data.yaml"
    made = DemoDataset(data_yaml, N_VIDEOS * N_FRAMES, N_VIDEOS)
    if data_yaml.is_file():
        return made
    rng = np.random.default_rng(seed)
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for video, digits in enumerate(digits_by_video(rng)):
        for number, frame in enumerate(scenes.render_video(digits, N_FRAMES, rng)):
            name = f"video{video:02d}_{number:03d}"
            _write_frame(folder, name, frame, in_pixels=video == _IN_PIXELS)
            lists[_split(video, number)].append(f"./images/{name}.jpg")
    for split, names in lists.items():
        write_text(folder / f"{split}.txt", "".join(f"{name}\n" for name in names))
    write_text(data_yaml, data_yaml_text())  # last, so that a data.yaml means a complete data set
    return made


def data_yaml_text() -> str:
    """The data.yaml of a folder with train.txt, val.txt and test.txt."""
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASSES))
    return f"train: train.txt\nval: val.txt\ntest: test.txt\nnames:\n{names}"


def _split(video: int, number: int) -> str:
    if video < _TRAIN or (video in _LEAKED and number % 2):
        return "train"
    return "val" if video < _TRAIN + _VAL else "test"


def digits_by_video(rng: np.random.Generator) -> Iterator[list[WrittenDigit]]:
    """The digits of each video, each written digit in one video only."""
    pool = DigitPool(rng)
    for video in range(N_VIDEOS):
        yield pool.take(wanted=0, others=_WANTED) if video in _EMPTY else pool.take(_WANTED, _OTHERS)


class DigitPool:
    """Written digits that are given out once each."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Shuffle all of them.

        Raises:
            UsageError: scikit-learn, which ships the handwriting, is not installed.
        """
        self._images, target = _load()
        self._rng, self._given = rng, list[WrittenDigit]()
        indices = list(CLASSES.values())
        self._wanted = [list(rng.permutation(np.flatnonzero(target == digit))) for digit in indices]
        self._others = list(rng.permutation(np.flatnonzero(~np.isin(target, indices))))

    def take(self, wanted: int = _WANTED, others: int = _OTHERS) -> list[WrittenDigit]:
        """Return digits that were not given out before: so many of the three classes, and of the seven others."""
        chosen: list[WrittenDigit] = []
        for _ in range(wanted):
            cls = int(self._rng.integers(len(self._wanted)))
            chosen.append((self._images[self._wanted[cls].pop()], cls))
        chosen += [(self._images[self._others.pop()], None) for _ in range(others)]
        self._given += chosen
        return chosen

    def again(self, count: int, rng: np.random.Generator) -> list[WrittenDigit]:
        """Return digits that were given out, for frames that nothing is trained or measured on."""
        return [self._given[int(place)] for place in rng.integers(len(self._given), size=count)]


def _load() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            "the demo needs scikit-learn, which ships the handwriting",
            hint="pip install '.[demo,train]' in the clone of Liftgate",
        ) from None
    digits = load_digits()
    return digits.images / 16.0, digits.target


def _write_frame(folder: Path, name: str, frame: scenes.VideoFrame, in_pixels: bool) -> None:
    write_frame(folder, name, frame, order=TRANSPOSED, unit=scenes.SIZE if in_pixels else 1)


def write_frame(
    folder: Path, name: str, frame: scenes.VideoFrame, *, order: Sequence[int] = (0, 1, 2, 3), unit: int = 1
) -> None:
    """Write an image and its labels in YOLO's format.

    Args:
        folder: of the data set.
        name: of both files, without a suffix.
        frame: image and labels.
        order: of x, y, width and height in a row.
        unit: length of a side of the image in the labels' units.
    """
    write_bytes(folder / "images" / f"{name}.jpg", jpeg_bytes(frame.pixels))
    size = np.array([scenes.SIZE, scenes.SIZE], dtype=np.float64)
    rows = xyxy_to_cxcywh(frame.boxes, size)[:, list(order)] * unit
    text = [f"{cls} " + " ".join(f"{value:.6f}" for value in row) for cls, row in zip(frame.classes, rows, strict=True)]
    write_text(folder / "labels" / f"{name}.txt", "".join(f"{line}\n" for line in text))


def jpeg_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image as a JPEG file."""
    import PIL.Image

    image = io.BytesIO()
    PIL.Image.fromarray(pixels).save(image, "JPEG", quality=92)
    return image.getvalue()
