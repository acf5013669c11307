"""The picture of docs/serve.md, of rendered streets: python docs/serve_picture.py

Takes two minutes on one core. Needs the extras `serve` and `dev`, and chromium to take the screenshot.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tdseg.street import render_street
from tdseg.video import VideoWriter

FOLDER = Path(__file__).parent
NAMES = ("bridge", "market", "school", "station")
SIZE, COUNT, RENDERED_FPS, SHOWN_FPS = (360, 640), 40, 15.0, 1.5
"""They are played slowly, so that they last until the picture is taken, on any machine."""
WINDOW, SHOWN = (1200, 1100), (900, 825)
"""Width and height, pixels: of the browser's window, and of the picture made of it."""
WATCHED_MS = 12_000


def main() -> None:
    """Render, serve, and take the screenshot."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for seed, name in enumerate(NAMES):
            path = Path(folder) / f"{name}.mp4"
            with VideoWriter(path, size=SIZE, fps=SHOWN_FPS) as writer:
                street = render_street(num_frames=COUNT, size=SIZE, fps=RENDERED_FPS, seed=seed)
                for index, (image, _) in enumerate(street):
                    writer.write(image, index / SHOWN_FPS)
            sources += ["--source", f"{name}={path}"]
        command = [sys.executable, "-m", "tdseg", "serve", "--port", "0", *sources]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
            assert server.stdout
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]})
            page.goto(server.stdout.readline().strip())
            for name in NAMES:
                page.wait_for_selector(f"article[data-name={name}][data-index]")
            page.wait_for_timeout(WATCHED_MS)
            shot = page.screenshot()
            chromium.close()
            server.terminate()
    still = Image.open(io.BytesIO(shot)).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
    still.save(FOLDER / "serve.jpg", quality=75, optimize=True)


if __name__ == "__main__":
    main()
