from __future__ import annotations

import numpy as np
import pytest

from tdseg.masks.labels import ClassTable, LabelError, Pixels
from tdseg.masks.palette import Palette, color_table
from tdseg.metrics.iou import VOID

VALUES = Pixels(np.array([[7, 9], [VOID, 0]], np.uint8))
COLORS = Pixels(np.array([[(0, 0, 1), (255, 255, 255), (1, 0, 0)]], np.uint8))


def test_values_and_colours_have_classes() -> None:
    table = ClassTable({7: 0, 9: 254, 0: VOID}, {(0, 0, 1): 254, (255, 255, 255): VOID, (1, 0, 0): 0})
    assert table.classes(VALUES, "label").tolist() == [[0, 254], [VOID, VOID]]
    assert table.classes(COLORS, "label").tolist() == [[254, VOID, 0]]


def test_a_palette_may_have_as_many_classes_as_a_mask() -> None:
    names = tuple("Void" if index == 3 else f"class {index}" for index in range(VOID))
    table = ClassTable.of(Palette("palette.txt", names, color_table()[:VOID]))
    every = np.arange(256, dtype=np.uint8)[None]
    assert table.classes(Pixels(every), "mask").tolist() == [[VOID if index == 3 else index for index in range(256)]]


def test_what_has_no_class_is_refused() -> None:
    with pytest.raises(LabelError, match=r"label: value 9 at x=1, y=0, 2 such pixels[\s\S]*values 7, 255\n"):
        ClassTable({7: 0}).classes(VALUES, "label")
    with pytest.raises(LabelError, match=r"colour 0 0 1 at x=0, y=0, 2 such pixels[\s\S]*the classes alone"):
        ClassTable({}, {(1, 0, 0): 0}).classes(COLORS, "label")
    with pytest.raises(LabelError, match=r"a coloured label[\s\S]*one 8-bit channel, values 7, 255\n"):
        ClassTable({7: 0}).classes(COLORS, "label")
    with pytest.raises(LabelError, match="an indexed label"):
        ClassTable({0: VOID}, {(1, 0, 0): 0}).classes(VALUES, "label")
