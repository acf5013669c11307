"""The pictures of docs/metrics.md, from rendered streets and simple shapes: python docs/metrics_pictures.py

Takes half a minute on one core. Needs the extra `metrics`; the masks are of the packaged `lite0-camvid`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import tdseg
from tdseg.masks import classes, draw
from tdseg.masks.palette import color_table
from tdseg.measure.instability import picture
from tdseg.metrics.flips import InstabilityMap
from tdseg.metrics.flow import DISFlow, Flow, make_flow, warp
from tdseg.metrics.video import along
from tdseg.street import StreetFrame, render_street

FOLDER = Path(__file__).parent
COLORS = color_table(classes.CAMVID_PALETTE)
INK, QUIET, HIT, GONE, GOOD = (222, 224, 228), (120, 124, 132), (255, 92, 92), (86, 92, 108), (92, 190, 140)
MARGIN, FPS = 14, 15.0

RGB = NDArray[np.uint8]
Mask = NDArray[np.uint8]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one font of all pictures."""
    return ImageFont.load_default(size)


def sheet(panels: list[tuple[str, RGB]], name: str) -> None:
    """Panels side by side, each with its title above, as an indexed PNG."""
    height, width = panels[0][1].shape[:2]
    top = 30
    still = Image.new("RGB", (MARGIN + len(panels) * (width + MARGIN), height + top + MARGIN), draw.BACKGROUND)
    pen = ImageDraw.Draw(still)
    for index, (title, image) in enumerate(panels):
        x = MARGIN + index * (width + MARGIN)
        pen.text((x + width // 2, top // 2 + 2), title, fill=INK, font=font(14), anchor="mm")
        still.paste(Image.fromarray(image), (x, top))
    save(still, name)


def save(still: Image.Image, name: str) -> None:
    """Few colours: the pictures are part of the repository."""
    still.quantize(256, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


def marked(mask: Mask, hits: NDArray[np.bool_], gone: NDArray[np.bool_] | None = None) -> RGB:
    """A mask in dim colours, with pixels that count against it in red, and what does not count in grey."""
    image: RGB = (COLORS[mask] * 0.42).astype(np.uint8)
    if gone is not None:
        image[gone] = GONE
    image[hits] = HIT
    return image


def flips(frames: list[StreetFrame], masks: list[Mask]) -> None:
    """In place and along flow, on a street."""
    t, flow = 9, DISFlow()
    flow.step(frames[t - 1].image)
    motion = flow.step(frames[t].image)
    assert motion is not None
    warped, valid = along(masks[t - 1], masks[t], motion)
    sheet(
        [
            ("mask of frame t", COLORS[masks[t]]),
            ("flips in place", marked(masks[t], masks[t] != masks[t - 1])),
            ("flips along flow", marked(masks[t], (masks[t] != warped) & valid, ~motion.visible)),
        ],
        "metrics-flips.png",
    )


def occlusion() -> None:
    """A square moves over a still ground: what it uncovers was not seen before."""
    size, side, shift = 180, 76, 44
    before, now = np.full((size, size), 3, np.uint8), np.full((size, size), 3, np.uint8)
    forward, backward = np.zeros((2, size, size, 2), np.float32)
    y, x = slice(52, 52 + side), 30
    before[y, x : x + side] = now[y, x + shift : x + shift + side] = 8
    forward[y, x : x + side, 0] = shift
    backward[y, x + shift : x + shift + side, 0] = -shift
    flow = make_flow(backward, forward)
    everything = Flow(backward, np.ones_like(flow.visible))
    warped = warp(before, everything)
    sheet(
        [
            ("mask t-1", COLORS[before]),
            ("mask t", COLORS[now]),
            ("t-1 carried along", COLORS[warped]),
            ("occlusions kept", marked(now, warped != now)),
            ("left out", marked(now, (warped != now) & flow.visible, ~flow.visible)),
        ],
        "metrics-tc.png",
    )


def windows() -> None:
    """One pixel over twelve frames, and the windows of k = 4."""
    label = [3] * 9 + [8] * 3
    mask = [3, 3, 3, 3, 3, 3, 1, 3, 3, 8, 8, 8]
    cell, k, left, top = 46, 4, 118, 16
    still = Image.new("RGB", (left + 12 * cell + 2 * MARGIN + 190, top + 2 * 34 + 9 * 17 + 20), draw.BACKGROUND)
    pen = ImageDraw.Draw(still)
    for row, (name, values) in enumerate((("label", label), ("mask", mask))):
        y = top + row * 34
        pen.text((left - 12, y + 14), name, fill=INK, font=font(14), anchor="rm")
        for t, value in enumerate(values):
            color = tuple(int(channel) for channel in COLORS[value])
            pen.rounded_rectangle((left + t * cell, y, left + (t + 1) * cell - 4, y + 28), 4, fill=color)
    y = top + 2 * 34 + 10
    pen.text((left - 12, y + 4 * 17), f"windows, k = {k}", fill=INK, font=font(14), anchor="rm")
    for t in range(len(label) - k + 1):
        constant = len(set(label[t : t + k])) == 1
        right = constant and mask[t : t + k] == label[t : t + k]
        color = GOOD if right else HIT if constant else GONE
        line = y + t * 17
        pen.rounded_rectangle((left + t * cell, line, left + (t + k) * cell - 4, line + 9), 4, fill=color)
    for index, (color, text) in enumerate(((GOOD, "right throughout"), (HIT, "not right"), (GONE, "label changes"))):
        x, line = left + 12 * cell + 18, y + index * 24
        pen.rounded_rectangle((x, line, x + 14, line + 14), 3, fill=color)
        pen.text((x + 22, line + 7), text, fill=INK, font=font(14), anchor="lm")
    save(still, "metrics-vc.png")


def phases() -> None:
    """Two rates of flips over time with the same mean; one has a rhythm of four."""
    m, count = 4, 24
    rng = np.random.default_rng(1)
    even = 0.05 + rng.normal(0, 0.004, count)
    rhythm = np.array([0.11, 0.03, 0.03, 0.03])[np.arange(count) % m] + rng.normal(0, 0.004, count)
    bar, height, left = 15, 120, MARGIN
    width = count * bar
    still = Image.new("RGB", (2 * (width + 170) + 3 * MARGIN, height + 62), draw.BACKGROUND)
    pen = ImageDraw.Draw(still)
    for column, (title, rates) in enumerate(
        (("flicker without a rhythm", even), ("paths that disagree, m = 4", rhythm))
    ):
        x0, base = left + column * (width + 170 + MARGIN), height + 36
        pen.text((x0, 16), title, fill=INK, font=font(14), anchor="lm")
        for t, rate in enumerate(rates):
            color = HIT if t % m == 0 else QUIET
            pen.rectangle((x0 + t * bar, base - int(rate * 900), x0 + (t + 1) * bar - 4, base), fill=color)
        for phase in range(m):
            x = x0 + width + 16 + phase * 30
            color = HIT if phase == 0 else QUIET
            pen.rectangle((x, base - int(rates[phase::m].mean() * 900), x + 22, base), fill=color)
            pen.text((x + 11, base + 12), str(phase), fill=INK, font=font(12), anchor="mm")
        pen.text((x0 + width // 2, base + 12), "frame t", fill=INK, font=font(12), anchor="mm")
        pen.text((x0 + width + 72, 16), "mean, t mod 4", fill=INK, font=font(12), anchor="mm")
    save(still, "metrics-phases.png")


def instability(frames: list[StreetFrame], masks: list[Mask]) -> None:
    """The map of `tdseg flicker --map`."""
    flow, unstable = DISFlow(), InstabilityMap(masks[0].shape)
    for frame, mask in zip(frames, masks, strict=True):
        unstable.update(mask, flow.step(frame.image))
    save(picture(unstable.compute().numpy(), frames[-1].image), "metrics-map.png")


def main() -> None:
    """Write all pictures beside this file."""
    frames = list(render_street(3, num_frames=30, size=(240, 320), fps=FPS))
    stream = tdseg.Stream(tdseg.load("lite0-camvid").fuse())
    masks = [stream.step(frame.image).mask for frame in frames]
    flips(frames, masks)
    occlusion()
    windows()
    phases()
    instability(frames, masks)


if __name__ == "__main__":
    main()
