from __future__ import annotations

import numpy as np
from PIL import Image

from tdseg.masks.palette import color_table
from tdseg.measure.evidence import SHOWN, Evidence, Example, WorstFrame
from tdseg.measure.panels import APART
from tdseg.metrics.iou import VOID

FRAME = np.full((40, 60, 3), 200, np.uint8)
LABEL = np.zeros((40, 60), np.uint8)


def with_wrong(rows: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    mask = LABEL.copy()
    mask[:rows] = 1
    return mask


def test_the_worst_frame_of_each_stretch_is_kept() -> None:
    wrong = np.random.default_rng(0).permutation(40)[: 5 * SHOWN]
    evidence = Evidence(2, len(wrong))
    for rows in wrong.tolist():
        evidence.add(FRAME, LABEL, [(0, with_wrong(rows)), (1, LABEL)])
    stretches = wrong.reshape(SHOWN, 5)
    assert [worst.number for worst in evidence.worst] == (stretches.argmax(1) + 5 * np.arange(SHOWN)).tolist()
    assert [worst.accuracy for worst in evidence.worst] == (100 - 2.5 * stretches.max(1)).tolist()
    assert evidence.matrix.counts.tolist() == [[40 * 60 * 60 - 60 * wrong.sum(), 60 * wrong.sum(), 0], [0, 0, 0]]


def test_few_frames_and_frames_without_labels() -> None:
    evidence = Evidence(2, 2)
    evidence.add(FRAME, np.full_like(LABEL, VOID), [(0, LABEL)])
    assert evidence.worst == []
    evidence.add(FRAME, LABEL, [(0, LABEL)])
    assert [(worst.number, worst.accuracy) for worst in evidence.worst] == [(1, 100.0)]


def test_a_picture_shows_what_is_wrong_and_not_what_is_void() -> None:
    label = LABEL.copy()
    label[20:] = VOID
    mask = np.ones_like(LABEL)
    mask[:, 30:] = 0
    picture = WorstFrame(0, 50.0, Example(FRAME, label, mask)).picture(color_table([(255, 0, 0), (0, 255, 0)]), 2)
    assert picture.size == (120, 80)
    wrong = np.asarray(picture)[:40, 60:]
    pink = (wrong == APART.astype(np.uint8)).all(-1)
    assert pink[:20, :30].all()
    assert pink.sum() == 20 * 30


def test_pictures_are_small_and_keep_their_shape() -> None:
    shape = (1000, 2000)
    example = Example(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
    picture: Image.Image = WorstFrame(0, 1.0, example).picture(color_table([(1, 2, 3)]), 1)
    assert picture.size == (640, 320)
