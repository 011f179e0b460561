"""Bilinear resizing against MindSpore and scipy, which were written by others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from mindspore.dataset import vision
from scipy import ndimage

from mindveil.runtime.resize import resize_bilinear

SIZES = [(32, 32), (28, 28), (7, 50), (1, 3), (29, 1)]


def random_images(shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_pixels_are_those_of_mindspores_resize(height: int, width: int) -> None:
    image = random_images((28, 28))
    expected = vision.Resize((height, width), vision.Inter.LINEAR)(image[..., None]).reshape(height, width)
    np.testing.assert_allclose(resize_bilinear(image, height, width), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (56, 35), (28, 28)])
def test_the_pixels_are_those_of_scipys_zoom_when_growing(height: int, width: int) -> None:
    image = random_images((28, 28)).astype(np.float64)
    zoom = (height / 28, width / 28)
    expected = ndimage.zoom(image, zoom, order=1, grid_mode=True, mode="nearest")
    np.testing.assert_allclose(resize_bilinear(image, height, width), expected, rtol=0, atol=1e-4)


def test_each_image_of_a_batch_is_resized_by_itself_whatever_the_leading_axes() -> None:
    images = random_images((1030, 2, 5, 6))  # more than one chunk
    resized = resize_bilinear(images, 8, 9)
    assert resized.shape == (1030, 2, 8, 9)
    np.testing.assert_array_equal(resized[1029, 1], resize_bilinear(images[1029, 1], 8, 9))


def test_the_same_size_changes_nothing_and_copies() -> None:
    images = random_images((2, 5, 5))
    resized = resize_bilinear(images, 5, 5)
    np.testing.assert_array_equal(resized, images)
    assert not np.shares_memory(resized, images)


def test_a_single_pixel_fills_the_whole_image() -> None:
    np.testing.assert_array_equal(resize_bilinear(np.array([[3]], np.uint8), 2, 2), np.full((2, 2), 3, np.float32))


@pytest.mark.parametrize(("height", "width"), [(0, 3), (3, -1)])
def test_a_size_that_is_not_positive_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"the size is .*, and must be positive"):
        resize_bilinear(np.zeros((2, 2)), height, width)


@pytest.mark.parametrize("shape", [(4,), (2, 0, 3)])
def test_images_without_pixels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the images have shape .*, and must end in a height and a width"):
        resize_bilinear(np.zeros(shape), 2, 2)
