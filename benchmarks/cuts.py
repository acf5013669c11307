"""Hard cuts: found among joins of clips, and false ones in what is none, by `tdseg.inference.cuts`.

python benchmarks/cuts.py [--clips VIDEO …] [--camvid CAMVID] [--joins 60] [--seed 0]

Rendered streets of seeds from 400 on, which nothing was chosen by, and whatever real videos are given, at their own
rate, are cut into runs of eight frames, and these joined in random order; neighbours are of different videos. The same
clips are disturbed: faster, shaken, panned over, lit by flashes, faded and dissolved. CamVid train, whose frames are a
second apart, is no video, and is shown apart. Prints found and false, and the processor's time per frame at 480×360.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from tdseg.data.camvid import CamVid
from tdseg.inference.cuts import is_cut, thumbnail
from tdseg.street import render_street
from tdseg.video import open_video
from tdseg.video.pictures import RGB

SIZE, RUN, STREETS, FIRST_SEED = (360, 480), 8, 12, 400
MOST = 240
"""Frames of a video that are used."""
Clip = list[RGB]


def load_clips(videos: list[Path], camvid: Path | None) -> Iterator[tuple[str, Clip]]:
    """Every clip with its name, all of one size."""
    for video in videos:
        with open_video(video) as reader:
            yield video.stem, [_sized(frame.image) for frame, _ in zip(reader, range(MOST), strict=False)]
    for split in ("val", "train") if camvid else ():
        assert camvid
        data = CamVid(camvid, split)
        for sequence in dict.fromkeys(data.sequence(i) for i in range(len(data))):
            frames = [data[i].frames[-1] for i in range(len(data)) if data.sequence(i) == sequence]
            rate = "" if split == "val" else ", 1 Hz"
            yield f"CamVid {split} {sequence}{rate}", [_sized(x.permute(1, 2, 0).numpy()) for x in frames[:MOST]]
    for seed in range(FIRST_SEED, FIRST_SEED + STREETS):
        yield f"street {seed}", [frame.image for frame in render_street(seed, num_frames=24, size=SIZE)]


def disturbed(clip: Clip, other: Clip, rng: np.random.Generator) -> Iterator[tuple[str, Clip]]:
    """The clip, and what is made of it, without a cut in it."""
    height, width = SIZE
    yield "every third frame", clip[::3]
    shifts = rng.uniform(-1, 1, (len(clip), 2)) * (0.08 * height, 0.08 * width)
    yield "shaken by 8 % of the sides", [_window(f, 1.2, *shift) for f, shift in zip(clip, shifts, strict=True)]
    yield "panned by 12 % a frame", [_window(clip[0], 3, 0, 0.12 * width * (step - 8)) for step in range(17)]
    for name, gain, offset in (("brighter", 2.2, 0), ("white", 0.45, 140), ("darker", 0.35, 0)):
        yield (
            f"flashes, {name}",
            [_lit(frame, gain, offset) if i % 5 == 3 else frame for i, frame in enumerate(clip)],
        )
    yield "faded to black and back", [_lit(f, abs((i + 8) % 16 - 8) / 8, 0) for i, f in enumerate(clip)]
    steps = zip(clip[:12], other[:12], np.linspace(0, 1, 12), strict=False)
    yield "dissolved in 12 frames", [np.rint(a + w * (b.astype(float) - a)).astype(np.uint8) for a, b, w in steps]
    yield "noise of 18 grey levels", [_lit(frame, 1, rng.normal(0, 18, frame.shape)) for frame in clip]


def joined(clips: dict[str, Clip], joins: int, rng: np.random.Generator) -> tuple[Clip, list[bool]]:
    """Runs of clips one after the other, and for each frame but the first whether it begins one."""
    frames, begins, last = Clip(), list[bool](), ""
    for _ in range(joins + 1):
        last = str(rng.choice([name for name in clips if name != last]))
        start = rng.integers(max(1, len(clips[last]) - RUN))
        run = clips[last][start : start + RUN]
        frames += run
        begins += [True] + [False] * (len(run) - 1)
    return frames, begins[1:]


def cuts_of(clip: Clip) -> list[bool]:
    """Whether each frame but the first is a cut."""
    return [is_cut(before, now) for before, now in pairwise(map(thumbnail, clip))]


def milliseconds(clip: Clip) -> float:
    """Mean processor time of a frame."""
    start = time.process_time()
    cuts_of(clip)
    return 1e3 * (time.process_time() - start) / len(clip)


def _sized(frame: RGB) -> RGB:
    return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(SIZE[::-1], Image.Resampling.BOX))


def _window(frame: RGB, zoom: float, down: float, across: float) -> RGB:
    """A part of an enlarged frame, as large as the frame, off its middle by so many pixels."""
    height, width = SIZE
    left, top = (width - width / zoom) / 2 + across / zoom, (height - height / zoom) / 2 + down / zoom
    box = (left, top, left + width / zoom, top + height / zoom)
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, box))


def _lit(frame: RGB, gain: float, offset: float | np.ndarray) -> RGB:
    return np.clip(frame * np.float32(gain) + offset, 0, 255).astype(np.uint8)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--joins", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    clips = dict(load_clips(arguments.clips, arguments.camvid))
    for name, clip in clips.items():
        print(f"{name}: {sum(cuts_of(clip))} false in {len(clip)} frames, {milliseconds(clip):.2f} ms a frame")
    videos = {name: clip for name, clip in clips.items() if not name.endswith("1 Hz")}
    counts: dict[str, list[int]] = {}
    names = list(videos)
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        for kind, clip in disturbed(videos[name][:64], videos[following], rng):
            count = counts.setdefault(kind, [0, 0])
            count[0], count[1] = count[0] + sum(cuts_of(clip)), count[1] + len(clip)
    for kind, (false, frames) in counts.items():
        print(f"{kind}: {false} false in {frames} frames")
    joins, begins = joined(videos, arguments.joins, rng)
    found = cuts_of(joins)
    right, cost = sum(cut and begin for cut, begin in zip(found, begins, strict=True)), milliseconds(joins)
    told = f"{right} of {sum(begins)} found, {sum(found) - right} false in {len(joins)} frames"
    print(f"joins: {told}, {cost:.2f} ms a frame")


if __name__ == "__main__":
    main()
