from __future__ import annotations

import math
import subprocess
import sys

import numpy as np

from tdseg.metrics.basic import flip_share, percentiles, share


def test_shares_of_pixels() -> None:
    before, mask = np.array([[0, 1, 2, 255]], np.uint8), np.array([[0, 2, 2, 0]], np.uint8)
    assert flip_share(before, mask) == 0.5
    assert flip_share(before, mask, before != 255) == 1 / 3
    assert math.isnan(share(mask == 0, np.zeros(mask.shape, bool)))


def test_percentiles() -> None:
    assert percentiles([*range(101)]) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert percentiles([1 / 3])["p50"] == 0.333


def test_numpy_is_enough() -> None:
    code = "import sys, tdseg.metrics.basic, tdseg.metrics.figures; print({'cv2', 'torchmetrics'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown == "set()\n"
