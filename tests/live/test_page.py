"""The page, in a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.fake_camera import FakeCamera, mjpeg
from support.serving import Served, serving, until
from support.small import SIZE, write_clip
from tdseg.zoo.catalog import create_model

api = pytest.importorskip("playwright.sync_api", reason="needs: pip install -e '.[dev]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, google-chrome or chromium-browser"),
]
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
MEAN = """(selector) => {
  const canvas = document.querySelector(selector), { width, height } = canvas;
  const sums = [0, 0, 0, 0];
  canvas.getContext("2d").getImageData(0, 0, width, height).data.forEach((value, at) => { sums[at % 4] += value; });
  return sums.slice(0, 3).map((sum) => sum / (width * height));
}"""
"""The mean colour of a canvas."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Opens the page of a server; whatever goes wrong in it fails the test."""
    wrong: list[str] = []
    opened: list[Any] = []

    def go(served: Served, hash: str = "", size: tuple[int, int] = (1280, 900), scheme: str = "light") -> Any:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url) if str(served.port) not in request.url else None)
        page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
        page.goto(f"http://127.0.0.1:{served.port}/{hash}")
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.close()
    assert [one for one in wrong if not one.startswith(("data:", "blob:"))] == []


@contextmanager
def cameras(served: Served, *names: str) -> Iterator[FakeCamera]:
    """Sessions of one camera that never ends."""
    with FakeCamera(mjpeg()) as camera:
        for name in names:
            served.sessions.open(name, camera.address())
        for name in names:
            until(served.sessions[name].newest)
        yield camera


def comes(page: Any, expression: str) -> None:
    """Wait until an expression is true; the policy of the page forbids that playwright's script does."""
    until(lambda: page.evaluate(expression))


def text(page: Any, selector: str) -> str:
    return str(page.locator(selector).first.inner_text())


def test_a_first_frame_and_what_is_said_of_it(visit: Open) -> None:
    with serving() as served, cameras(served, "door"):
        page = visit(served)
        page.wait_for_selector("article[data-index][data-state=running]")
        assert text(page, "article h2") == "door"
        assert text(page, "#model") == "small"
        comes(page, "parseFloat(document.querySelector('.fps').textContent) > 0")
        assert re.fullmatch(r"\d+ ms|\d+\.\d s", text(page, ".age"))
        shares = [float(one.split()[0]) for one in page.locator(".legend output").all_inner_texts()]
        assert sum(shares) == pytest.approx(100, abs=1)
        assert set(page.locator(".legend li span").all_inner_texts()) <= set(served.service.about.classes)
        before = page.get_attribute("article", "data-index")
        comes(page, f"document.querySelector('article').dataset.index !== '{before}'")
        box = page.locator(".drawn canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert text(page, ".class-name") in served.service.about.classes


def test_opacity_pause_and_side_by_side(visit: Open) -> None:
    with serving() as served, cameras(served, "door"):
        page = visit(served)
        page.wait_for_selector("article[data-index]")
        page.keyboard.press(" ")
        page.wait_for_timeout(300)
        stopped = page.get_attribute("article", "data-index")
        mixed = page.evaluate(MEAN, ".drawn canvas")
        page.keyboard.press("s")  # shows the frame itself, also of a picture that stands
        frame = page.evaluate(MEAN, ".plain canvas")
        page.locator("#opacity").fill("0")
        assert page.evaluate(MEAN, ".drawn canvas") == pytest.approx(frame, abs=0.01)
        assert text(page, "#opacity-value") == "0 %"
        page.locator("#opacity").fill("100")
        classes = page.evaluate(MEAN, ".drawn canvas")
        assert mixed == pytest.approx([(a + b) / 2 for a, b in zip(frame, classes, strict=True)], abs=1.5)
        page.keyboard.press("ArrowLeft")
        assert text(page, "#opacity-value") == "95 %"
        assert page.get_attribute("article", "data-index") == stopped
        page.keyboard.press(" ")
        comes(page, f"document.querySelector('article').dataset.index !== '{stopped}'")


def test_a_source_that_dies_is_shown_as_such(visit: Open) -> None:
    with serving() as served, cameras(served, "well"):
        with cameras(served, "ill") as ill:
            page = visit(served)
            page.wait_for_selector("article[data-name=ill][data-index]")
            ill.close()
            page.wait_for_selector("article[data-name=ill][data-state=reconnecting] .veil:not([hidden])")
        shown = page.locator("article[data-name=ill] .veil").inner_text()
        problem = served.sessions["ill"].problem
        assert problem
        assert shown.splitlines()[0].lower() == "reconnecting"
        assert len(shown.splitlines()) == 2
        page.wait_for_selector("article[data-name=well][data-state=running]")
        comes(page, "document.querySelector('#summary').textContent === '1 live, 1 waiting'")
        served.sessions.open("gone", "/no/such/file.mp4")
        page.wait_for_selector("article[data-name=gone][data-state=failed] .veil:not([hidden])")
        assert "No such file" in page.locator("article[data-name=gone] .veil").inner_text()
        page.locator("article[data-name=gone] .end").click()
        page.wait_for_selector("article[data-name=gone]", state="detached")
        assert served.sessions.get("gone") is None


@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), ((390, 844), "dark")])
def test_four_tiles_at_once(visit: Open, size: tuple[int, int], scheme: str) -> None:
    with serving() as served, cameras(served, "a", "b", "c", "d"):
        page = visit(served, size=size, scheme=scheme)
        comes(page, "document.querySelectorAll('article[data-index]').length === 4")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        boxes = [one.bounding_box() for one in page.locator("article").all()]
        columns = {round(box["x"]) for box in boxes}
        assert len(columns) == (2 if size[0] > 1000 else 1)
        page.keyboard.press("2")
        assert [page.locator(f"article[data-name={name}]").is_visible() for name in "abcd"] == [
            False,
            True,
            False,
            False,
        ]
        page.keyboard.press("Escape")
        assert page.locator("article[data-name=d]").is_visible()
        red, green, blue = map(
            int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        )
        assert (red + green + blue > 600) == (scheme == "light")
        before = {
            one.get_attribute("data-name"): one.get_attribute("data-index") for one in page.locator("article").all()
        }
        for name, index in before.items():
            comes(page, f"document.querySelector('article[data-name={name}]').dataset.index !== '{index}'")


def test_a_webcam_goes_out_and_comes_back(visit: Open) -> None:
    with serving() as served:
        page = visit(served)
        page.wait_for_selector("#empty:not([hidden])")
        page.locator("#webcam").click()
        page.wait_for_selector("article[data-name=webcam][data-index][data-state=running]")
        assert page.get_attribute("#webcam", "aria-pressed") == "true"
        assert served.sessions["webcam"].source == "pushed"
        page.locator("#webcam").click()
        page.wait_for_selector("article", state="detached")
        until(lambda: len(served.sessions) == 0)


def test_adding_a_video_and_an_address(visit: Open, tmp_path: Path) -> None:
    with serving() as served:
        page = visit(served)
        page.keyboard.press("a")
        page.locator("#add-dialog input[name=name]").fill("film")
        page.locator("#add-dialog input[name=source]").fill("file:///etc/passwd")
        page.locator("#add-dialog button[type=submit]").click()
        comes(page, "document.querySelector('#add-dialog .error').textContent.includes('not allowed')")
        page.locator("#add-dialog input[name=file]").set_input_files(write_clip(tmp_path / "clip.mp4", 30))
        page.locator("#add-dialog button[type=submit]").click()
        page.wait_for_selector("article[data-name=film][data-index]")
        assert not page.locator("#add-dialog").is_visible()


def test_a_token_is_asked_for_and_kept_out_of_sight(visit: Open) -> None:
    with serving(token="the-right-one") as served:
        page = visit(served)
        page.locator("#token-dialog input").fill("the-right-one")
        page.locator("#token-dialog button").click()
        page.wait_for_selector("#empty:not([hidden])")
        served.sessions.open("robot")
        other = visit(served, "#token=the-right-one")
        other.wait_for_selector("article[data-name=robot]")
        assert "token" not in other.url
        assert other.evaluate("document.cookie") == ""


def test_names_are_text(visit: Open) -> None:
    """Of sessions and classes, whatever is in them: the page makes no markup of them, and the policy runs none."""
    evil = '<img src=x onerror="alert(1)">', "</li><script>alert(2)</script>", '"onmouseover="alert(3)'
    model = create_model("lite0s", size=SIZE, num_classes=len(evil), classes=evil).eval()
    with serving(model=model) as served, cameras(served, evil[0]):
        page = visit(served)
        page.wait_for_selector("article[data-index]")
        page.wait_for_selector(".legend li")
        assert text(page, "article h2") == evil[0]
        assert set(page.locator(".legend li span").all_inner_texts()) <= set(evil)
        assert page.locator("article img, article script, article [onmouseover]").count() == 0
        box = page.locator(".drawn canvas").bounding_box()
        page.mouse.move(box["x"] + 9, box["y"] + 9)
        page.wait_for_timeout(300)
