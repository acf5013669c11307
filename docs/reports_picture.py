"""The picture of docs/reports.md, of a rendered street: python docs/reports_picture.py

Takes a minute on one core. Needs the extra `metrics`, and chromium to take the screenshot.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tdseg.measure.compare import compare
from tdseg.report.comparison import comparison_page
from tdseg.street import render_street
from tdseg.video import VideoWriter

FOLDER = Path(__file__).parent
SIZE, FPS, COUNT = (360, 480), 15.0, 90
WINDOW, SHOWN = (1180, 1740), (624, 920)
"""Width and height, pixels: of the browser's window, and of the picture made of it."""


def main() -> None:
    """Render, compare the packaged models, and take the screenshot."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = []
        with VideoWriter(folder / "street.mp4", size=SIZE, fps=FPS) as writer:
            for index, (image, label) in enumerate(render_street(num_frames=COUNT, size=SIZE, fps=FPS)):
                writer.write(image, index / FPS)
                labels.append(label)
        np.savez_compressed(folder / "labels.npz", np.stack(labels))
        report, shot = folder / "report.html", folder / "shot.png"
        compared = compare("td6-lite0s-camvid", "lite0s-camvid", folder / "street.mp4", labels=folder / "labels.npz")
        report.write_text(comparison_page(compared).replace(f"{folder}/", ""))  # paths as a reader would have them
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
        window = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        command = [
            browser,
            *options,
            f"--user-data-dir={folder}/profile",
            window,
            f"--screenshot={shot}",
            report.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True)
        still = Image.open(shot).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
        still.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            FOLDER / "reports.png", optimize=True
        )


if __name__ == "__main__":
    main()
