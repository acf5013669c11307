from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tdseg.masks.legend import HEIGHT, WIDTH, Legend, class_table
from tdseg.masks.palette import color_table

MANY = [f"class {index} of very many, with a name that is too long for any picture" for index in range(150)]
COLORS = color_table()


def drawn(size: tuple[int, int], mask: np.ndarray, legend: Legend | None = None) -> np.ndarray:
    picture = np.full((*size, 3), 255, np.uint8)
    (legend or Legend(MANY, COLORS)).draw_on(picture, np.bincount(mask.ravel(), minlength=256))
    return picture


def covered(picture: np.ndarray) -> tuple[int, int]:
    """The (height, width) from the upper left corner to the last pixel that was drawn on."""
    rows, columns = np.nonzero((picture != 255).any(2))
    return (rows.max() + 1, columns.max() + 1) if len(rows) else (0, 0)


@pytest.mark.parametrize("size", [(360, 480), (720, 1280), (1280, 720), (2160, 3840), (200, 200)])
@pytest.mark.parametrize("count", [1, 11, 150])
def test_it_never_covers_the_picture(size: tuple[int, int], count: int) -> None:
    mask = np.resize(np.arange(count, dtype=np.uint8), size)
    height, width = covered(drawn(size, mask))
    assert 0 < height <= HEIGHT * size[0]
    assert 0 < width <= WIDTH * size[1] + 16


def test_small_pictures_have_none() -> None:
    assert covered(drawn((160, 900), np.zeros((160, 900), np.uint8))) == (0, 0)


def test_it_stands_still_where_there_is_room() -> None:
    legend, size = Legend(("a", "b", "c"), COLORS), (360, 480)
    void, first = (np.full(size, value, np.uint8) for value in (255, 0))
    one = drawn(size, void, legend)
    assert all((one == COLORS[index]).all(2).any() for index in range(3))
    assert covered(drawn(size, first, legend)) == covered(one)


def test_it_names_what_is_there_and_goes_on_to() -> None:
    legend, size = Legend([f"class {index}" for index in range(40)], COLORS), (360, 480)
    void, first = np.full(size, 255, np.uint8), np.zeros(size, np.uint8)
    assert covered(drawn(size, void, legend)) == (0, 0)
    one = drawn(size, first, legend)
    assert (one == COLORS[0]).all(2).any()
    assert not (one == COLORS[2]).all(2).any()
    stray = first.copy()
    stray[0, 0] = 2
    np.testing.assert_array_equal(drawn(size, stray, legend), one)
    stray[:20] = 2
    two = drawn(size, stray, legend)
    assert covered(two)[0] > covered(one)[0]
    np.testing.assert_array_equal(drawn(size, first, legend), two)  # it does not flicker


def test_table_of_all_classes() -> None:
    table = np.asarray(class_table([f"class {index}" for index in range(150)], COLORS))
    assert all((table == COLORS[index]).all(2).any() for index in range(150))
    assert Image.fromarray(table).width < 1200
