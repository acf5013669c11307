from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdseg.errors import ConfigError, DataError
from tdseg.masks.classes import CAMVID_CLASSES, CITYSCAPES_CLASSES
from tdseg.masks.mapping import map_classes
from tdseg.metrics.iou import VOID

MODEL, DATA = ("road", "traffic_light", "sky", "car"), ("Sky", "Road", "Traffic light")


def test_the_same_classes_are_not_mapped() -> None:
    assert map_classes(DATA, DATA, between="m on d") is None
    assert map_classes(("SKY", "road", "traffic_light"), DATA, between="m on d") is None
    assert map_classes(3, DATA, between="m on d") is None


def test_by_name() -> None:
    mapping = map_classes(MODEL, DATA, between="m on d")
    assert mapping is not None
    mask = np.array([[0, 1, 2], [3, 77, VOID]], np.uint8)
    assert mapping(mask).tolist() == [[1, 2, 0], [VOID, VOID, VOID]]
    assert mapping(mask).dtype == np.uint8
    assert (mapping.left_out, mapping.told) == ((), "classes mapped by name")
    assert mapping.known(mask).tolist() == mask.tolist()


@given(st.permutations(range(len(CITYSCAPES_CLASSES))))
def test_order_does_not_count(order: list[int]) -> None:
    mapping = map_classes([CITYSCAPES_CLASSES[index] for index in order], CITYSCAPES_CLASSES, between="m on d")
    table = np.arange(VOID) if mapping is None else mapping.table
    assert table[: len(order)].tolist() == order


def test_by_file(tmp_path: Path) -> None:
    file = tmp_path / "map.txt"
    file.write_text("# ours\n\n ROAD=road\nsky = Sky\ncar = road\n traffic light = VOID\n", encoding="utf-8-sig")
    mapping = map_classes(MODEL, DATA, file, between="m on d")
    assert mapping is not None
    assert mapping.table[:5].tolist() == [1, VOID, 0, 1, VOID]
    assert mapping.left_out == ("Traffic light",)
    assert mapping.known(np.array([0, 1, 2, VOID], np.uint8)).tolist() == [0, 1, VOID, VOID]
    expected = f"classes mapped by {file}, without Traffic light, which no class of the model stands for"
    assert mapping.told == expected


def test_classes_without_names_are_told_by_their_index(tmp_path: Path) -> None:
    file = tmp_path / "map.txt"
    file.write_text("7 = Road\n0 = Sky\n")
    mapping = map_classes(8, DATA, file, between="m on d")
    assert mapping is not None
    assert mapping.table[[0, 7, 1]].tolist() == [0, 1, VOID]
    with pytest.raises(DataError, match="'8' is no class of the model"):
        map_classes(8, DATA, write(file, "8 = Road"), between="m on d")


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road = Road\nroads = Road", "line 2: 'roads = Road': 'roads' is no class of the model"),
        ("road = Roads", "line 1: 'road = Roads': 'Roads' is no class of the data"),
        ("# of\nroad = Road\nsky\n", "line 3: 'sky'"),
        ("road =", "line 1"),
        ("= Road", "line 1"),
        ("road = Road\nsky = Sky\nROAD = Sky", "line 3: 'ROAD = Sky' has ROAD again"),
        ("", "no line that maps"),
        ("# nothing\nroad = void", "no line that maps"),
        ("\0\1\2", "line 1"),
        ("\udcff\udcfe", "not a text file"),
    ],
)
def test_refused_files(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "map.txt"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message):
        map_classes(MODEL, DATA, file, between="m on d")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            map_classes(MODEL, DATA, path, between="m on d")


def test_refused_without_a_file() -> None:
    with pytest.raises(ConfigError, match="m on d: 11 classes, not 19; no class of the model is called Pavement, Tree"):
        map_classes(CITYSCAPES_CLASSES, CAMVID_CLASSES, between="m on d")
    with pytest.raises(
        ConfigError, match=r"class 0 is Sky, not Ski; no class of the model is called Sky\n(.*\n)*.*--class-map"
    ):
        map_classes(("Ski", *DATA[1:]), DATA, between="m on d")
    with pytest.raises(ConfigError, match=r"11 classes, not 19\n(.*\n)*.*index in the model = class of the data"):
        map_classes(19, CAMVID_CLASSES, between="m on d")
