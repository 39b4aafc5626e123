"""Fit an image into a model's input without changing its shape, and map boxes back to the image.

The same numbers as Ultralytics' own path gives: sides are rounded one by one, so the two axes have gains that differ a
little, and a box goes back by the gain of its axis (with one gain for both it would be off by up to 0.2 pixels).
`resize` has the bits of OpenCV's linear interpolation, which has 11 bits for each weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.deploy.export.card import InputContract
from liftgate.deploy.runtime.images import Pixels

_WEIGHT_BITS = 11


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies on the model's input."""

    width: int
    """Of the image, pixels"""
    height: int
    gain_x: float
    """Pixels of the input per pixel of the image"""
    gain_y: float
    left: int
    """Padding, pixels of the input"""
    top: int

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points (…, 2), x and y in pixels of the input, in pixels of the image, clipped to it."""
        gains, padding = np.array([self.gain_x, self.gain_y]), np.array([self.left, self.top])
        inside: NDArray[np.float64] = np.clip((points - padding) / gains, 0, [self.width, self.height])
        return inside


class Fitted(NamedTuple):
    """An image on the model's input."""

    pixels: Pixels
    """(input height, input width, 3)"""
    placement: Placement


def letterbox(image: Pixels, contract: InputContract) -> Fitted:
    """Return the image resized and padded to the size of the input.

    Args:
        image: (height, width, 3) pixels.
        contract: size of the input, where the image lies on it, and the padding's value.
    """
    height, width = image.shape[:2]
    gain = min(contract.height / height, contract.width / width)
    inner_width, inner_height = max(round(width * gain), 1), max(round(height * gain), 1)
    if contract.letterbox == "stretch":
        inner_width, inner_height = contract.width, contract.height
    free_x, free_y = contract.width - inner_width, contract.height - inner_height
    centred = contract.letterbox == "centre"
    left, top = (round(free_x / 2 - 0.1), round(free_y / 2 - 0.1)) if centred else (0, 0)
    canvas = np.full((contract.height, contract.width, 3), contract.pad, dtype=np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = resize(image, inner_width, inner_height)
    placement = Placement(width, height, inner_width / width, inner_height / height, left, top)
    return Fitted(canvas, placement)


def resize(image: Pixels, width: int, height: int) -> Pixels:
    """Return the image at another size, by linear interpolation with the bits of OpenCV's INTER_LINEAR.

    Args:
        image: (h, w, 3) pixels.
        width: of the result.
        height: of the result.
    """
    old_height, old_width = image.shape[:2]
    if (old_width, old_height) == (width, height):
        return image
    if (old_width, old_height) == (2 * width, 2 * height):  # OpenCV takes the mean of four pixels there
        wide = image.astype(np.uint16)
        total = wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2]
        return ((total + 2) >> 2).astype(np.uint8)
    columns, rows = _weights(width, old_width), _weights(height, old_height)
    # At its edges OpenCV takes one pixel with the full weight across, and twice the same row down.
    first, second = columns.first.copy(), columns.second.copy()
    outside = (columns.low < 0) | (columns.low >= old_width - 1)
    first[outside], second[outside] = 1 << _WEIGHT_BITS, 0
    left, right = np.clip(columns.low, 0, old_width - 1), np.clip(columns.low + 1, 0, old_width - 1)
    wide = image.astype(np.int32)
    across = (wide[:, left] * first[:, None] + wide[:, right] * second[:, None]) >> 4
    above, below = np.clip(rows.low, 0, old_height - 1), np.clip(rows.low + 1, 0, old_height - 1)
    upper, lower = rows.first[:, None, None], rows.second[:, None, None]
    total = ((across[above] * upper) >> 16) + ((across[below] * lower) >> 16)
    resized: Pixels = np.clip((total + 2) >> 2, 0, 255).astype(np.uint8)
    return resized


def input_tensor(pixels: Pixels, contract: InputContract) -> NDArray[np.generic]:
    """Return pixels (height, width, 3) as the model's input with a batch of one.

    Args:
        pixels: RGB, of the input's size.
        contract: order of channels and axes, type, scale, mean and deviation.
    """
    ordered = pixels if contract.channels == "RGB" else pixels[..., ::-1]
    ordered = ordered.transpose(2, 0, 1) if contract.layout == "NCHW" else ordered
    if contract.dtype == "uint8":
        return np.ascontiguousarray(ordered[None])
    # Divided as the trainer does: 1/255 as a factor differs in the last bit.
    values = np.arange(256, dtype=np.float32) / np.float32(1 / contract.scale)
    tensor = values[np.ascontiguousarray(ordered[None])]
    if contract.mean or contract.deviation:
        each = (1, 3, 1, 1) if contract.layout == "NCHW" else (1, 1, 1, 3)
        tensor = tensor - np.array(contract.mean or (0.0,) * 3, dtype=np.float32).reshape(each)
        tensor = tensor / np.array(contract.deviation or (1.0,) * 3, dtype=np.float32).reshape(each)
    return tensor.astype(contract.dtype, copy=False)


class _Weights(NamedTuple):
    low: NDArray[np.int64]
    """(n,) index of the first of two pixels; −1 or the last where the second lies outside"""
    first: NDArray[np.int32]
    """(n,) its weight of 2048"""
    second: NDArray[np.int32]


def _weights(new: int, old: int) -> _Weights:
    place = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    low = np.floor(place)
    rest = place - low
    scale = np.float32(1 << _WEIGHT_BITS)
    first, second = np.rint((np.float32(1) - rest) * scale), np.rint(rest * scale)
    return _Weights(low.astype(np.int64), first.astype(np.int32), second.astype(np.int32))
