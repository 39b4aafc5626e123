from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.deploy.export.card import InputContract
from liftgate.deploy.runtime.letterbox import input_tensor, letterbox, resize


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((48, 64), (24, 32)),
        ((33, 51), (43, 64)),
        ((97, 131), (47, 64)),
        ((5, 300), (1, 64)),
        ((1, 1), (7, 9)),
        ((64, 48), (64, 48)),
    ],
)
def test_resizing_has_the_bits_of_opencv(old: tuple[int, int], new: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 256, (*old, 3), dtype=np.uint8)
    expected = cv2.resize(image, new[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize(image, new[1], new[0]), expected)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["centre", "top-left", "stretch"]))
def test_a_point_of_the_image_comes_back_to_where_it_was(width: int, height: int, rule: str) -> None:
    contract = InputContract(96, 128, letterbox=rule)  # type: ignore[arg-type]
    fitted = letterbox(np.zeros((height, width, 3), np.uint8), contract)
    place = fitted.placement
    corners = np.array(
        [[place.left, place.top], [place.left + width * place.gain_x, place.top + height * place.gain_y]]
    )
    assert fitted.pixels.shape == (96, 128, 3)
    assert place.to_image(corners) == pytest.approx(np.array([[0, 0], [width, height]]))


def test_points_in_the_padding_are_clipped_to_the_image() -> None:
    place = letterbox(np.zeros((50, 100, 3), np.uint8), InputContract(128, 128)).placement
    assert place.to_image(np.array([[0.0, 0.0], [128.0, 128.0]])).tolist() == [[0, 0], [100, 50]]


def test_the_padding_has_its_value_and_each_axis_its_own_gain() -> None:
    fitted = letterbox(np.zeros((333, 501, 3), np.uint8), InputContract(640, 640, pad=114))
    assert set(np.unique(fitted.pixels)) == {0, 114}
    assert fitted.placement.gain_x == 640 / 501
    assert fitted.placement.gain_y == 425 / 333  # 425.38 rounded
    assert fitted.placement.top == 107


def test_the_tensor_follows_the_contract() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = 255
    assert input_tensor(pixels, InputContract(8, 8))[0, :, 0, 0].tolist() == [1, 0, 0]
    assert input_tensor(pixels, InputContract(8, 8, channels="BGR"))[0, :, 0, 0].tolist() == [0, 0, 1]
    assert input_tensor(pixels, InputContract(8, 8, layout="NHWC", dtype="uint8")).shape == (1, 8, 8, 3)
    assert input_tensor(pixels, InputContract(8, 8, scale=1.0))[0, 0, 0, 0] == 255
    assert input_tensor(pixels, InputContract(8, 8, dtype="float16")).dtype == np.float16
