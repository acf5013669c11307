"""A page as a browser sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.small import FPS, SIZE, write_clip
from tdseg.measure.compare import compare
from tdseg.report.comparison import comparison_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=10000",
]
PROBE = """<script>setTimeout(() => {
  const video = document.querySelector("video"), seen = document.documentElement.dataset;
  const boxes = [...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect());
  seen.film = `${video.videoWidth}x${video.videoHeight}`;
  seen.state = video.readyState;
  seen.plots = boxes.filter((box) => box.width > 100 && box.height > 100).length;
  seen.wide = document.documentElement.scrollWidth;
  document.querySelector("button[data-frame]").click();
  seen.time = video.currentTime;
}, 3000)</script>"""


def browse(page: Path, *options: str) -> str:
    assert CHROMIUM
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, google-chrome or chromium-browser")
def test_page_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    masks = np.zeros((24, *SIZE), np.uint8)
    np.savez(tmp_path / "one.npz", masks)
    masks[20, :9] = 1
    np.savez(tmp_path / "two.npz", masks)
    compared = compare(tmp_path / "one.npz", tmp_path / "two.npz", write_clip(tmp_path / "clip.mp4", 24))
    page.write_text(comparison_page(compared))
    browse(page, "--window-size=1280,900", f"--screenshot={tmp_path / 'page.png'}")
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.size == (1280, 900)
        assert len(shot.convert("RGB").getcolors(1 << 24) or []) > 50  # something is on it

    text = re.sub("script-src '[^']*'", "script-src 'unsafe-inline'", page.read_text())  # lets the probe in
    page.write_text(text.replace("</body>", PROBE + "</body>"))
    (root,) = re.findall(r"<html[^>]*>", browse(page, "--window-size=500,900", "--dump-dom"))
    seen = dict(re.findall(r'data-(\w+)="([^"]*)"', root))
    assert "error" not in seen
    assert seen["film"] == f"{2 * SIZE[1]}x{2 * SIZE[0]}"
    assert int(seen["state"]) >= 2  # HAVE_CURRENT_DATA: a picture is there
    assert float(seen["time"]) == pytest.approx(20.5 / FPS)
    assert seen["ready"] == seen["plots"] == "6"
    assert int(seen["wide"]) <= 500  # nothing sticks out
