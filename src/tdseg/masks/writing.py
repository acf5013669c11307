"""Masks written in the form of others: names of files, kind of file, palettes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tdseg.errors import DataError, OutputError
from tdseg.files import check_target, whole_file
from tdseg.files.publishing import contents, whole_folder
from tdseg.masks import rle
from tdseg.masks.labels import read_pixels
from tdseg.masks.palette import Palette
from tdseg.masks.reading import Masks, open_npz
from tdseg.metrics.basic import Mask
from tdseg.video.extent import FALLBACK_FPS
from tdseg.video.grey import GreyWriter, grey_times
from tdseg.video.pictures import open_image

Write = Callable[[Mask], None]


@contextmanager
def written_like(
    masks: Masks, output: Path, palette: Palette | None = None, *, overwrite: bool = False
) -> Iterator[Write]:
    """Write as many masks as there are of a video, in the form of those, whole or not at all.

    Args:
        masks: as `open_masks` gives.
        output: folder to be; for a file the file to be.
        palette: the colours that coloured masks are written in, and indexed ones that are read by colour; None where
            the values of indexed ones are the classes.
        overwrite: replace a former output.

    Yields:
        What writes the next mask, (H, W) class indices.

    Raises:
        OutputError: the output exists, holds anything but such masks, or cannot be written.
    """
    if like := _FILES.get(Path(masks.source).suffix.lower()):
        check_target(output, overwrite=overwrite)
        with whole_file(output) as staged, like(masks, staged) as write:
            yield write
        return
    files = [Path(name) for name in masks.names]
    _check_folder(output, files, overwrite)
    rest = iter(files)
    with whole_folder(output, [Path(file.name) for file in files]) as folder:

        def write_next(mask: Mask) -> None:
            original = next(rest)
            _picture_like(original, mask, palette).save(folder / original.name, "PNG", compress_level=1)

        yield write_next


def _check_folder(folder: Path, files: list[Path], overwrite: bool) -> None:
    """Refuse a folder that holds what the masks would take the place of, or what they would not."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"{folder} is a file", expected="a folder", do="choose another with --output")
    held = contents(folder) if os.path.exists(folder) else set()
    if held and not overwrite:
        raise OutputError(
            f"output folder {folder} is in use",
            expected="a new or an empty folder",
            do="choose another with --output, or replace the masks in it with --overwrite",
        )
    known = {file.name for file in files if file.name in held and _is_like(folder / file.name, file)}
    if other := sorted(held - known):
        raise OutputError(
            f"output folder {folder} holds {other[0]}, which is no mask of these names and this kind",
            expected="a new or an empty folder, or a former result",
            do="choose another with --output",
        )


def _is_like(path: Path, original: Path) -> bool:
    """Whether a file may be a former mask in the place of another: indexed, grey or coloured, as that is."""
    try:
        with open_image(path) as one, open_image(original) as other:
            return not path.is_symlink() and (one.format, one.mode) == ("PNG", other.mode)
    except DataError:
        return False


def _picture_like(original: Path, mask: Mask, palette: Palette | None) -> Image.Image:
    """A mask as a picture of the mode of another, with its palette, to which colours that it lacks are added."""
    with open_image(original) as image:
        mode, colors, about = image.mode, image.getpalette() if image.mode == "P" else None, dict(image.info)
        used = read_pixels(original).used().tolist() if palette is not None and mode == "P" else []
    if mode in ("RGB", "RGBA"):
        assert palette is not None, "coloured masks are read by one"
        return Image.fromarray(palette.colors[mask]).convert(mode)
    if mode == "1":
        return Image.fromarray(mask.astype(bool))
    if colors is not None and palette is not None:
        mask, colors = _numbered(mask, palette, colors, used)
    picture = Image.fromarray(mask)
    if mode == "LA":
        return picture.convert(mode)
    if colors is not None:
        picture.putpalette(colors)
        if "transparency" in about:
            picture.info["transparency"] = about["transparency"]
    return picture


def _numbered(mask: Mask, palette: Palette, colors: list[int], used: list[int]) -> tuple[Mask, list[int]]:
    """A mask of classes as values of another palette.

    Args:
        mask: (H, W) class indices.
        palette: their colours.
        colors: R, G, B of each value.
        used: values whose entries stay; if one is needed for a colour that is not there, it is the last of the others.

    Returns:
        (H, W) values, and the palette with all the colours that they need.
    """
    entries = [tuple(colors[at : at + 3]) for at in range(0, len(colors) - 2, 3)]
    values = {entries[value]: value for value in [*reversed(range(len(entries))), *used]}  # those in use come first
    wanted = {tuple(palette.colors[index].tolist()): index for index in np.unique(mask)}
    kept = {*used, *(values[color] for color in wanted if color in values)}
    for color in wanted:
        if color not in values and len(entries) < 256:
            entries.append(color)
            values[color] = len(entries) - 1
        elif color not in values:
            values[color] = max(value for value in range(256) if value not in kept)
            entries[values[color]] = color
        kept.add(values[color])
    table = np.zeros(256, np.uint8)
    for color, index in wanted.items():
        table[index] = values[color]
    return table[mask], [channel for entry in entries for channel in entry]


@contextmanager
def _npz_like(masks: Masks, staged: Path) -> Iterator[Write]:
    """One array of the name and type that the masks have, written mask by mask."""
    with open_npz(Path(masks.source)) as ((member, *_), _, shape, dtype):
        name = member.filename
    with ExitStack() as stack:
        write = stack.enter_context(write_npz(staged, shape, dtype, name))

        def write_next(mask: Mask) -> None:
            write(mask.astype(dtype).tobytes())

        yield write_next


@contextmanager
def _video_like(masks: Masks, staged: Path) -> Iterator[Write]:
    """A lossless grey video, with the times of the other."""
    times = grey_times(Path(masks.source))
    span = times[-1] - times[0]
    with GreyWriter(staged, size=masks.size, fps=(len(times) - 1) / span if span else FALLBACK_FPS) as video:
        rest = iter(times)
        yield lambda mask: video.write(mask, next(rest))


@contextmanager
def _lines_like(masks: Masks, staged: Path) -> Iterator[Write]:
    """Run lengths, a JSON line a frame, with the numbers, times and names of the others."""
    names: dict[int, str] = {}
    for fields in rle.read_fields_of(Path(masks.source)):
        names |= {segment["category_id"]: segment.get("name", "") for segment in fields["segments"]}
    classes = [names.get(index) or f"class {index}" for index in range(max(names, default=-1) + 1)]
    rest = rle.read_fields_of(Path(masks.source))
    with staged.open("w", encoding="utf-8") as file:

        def write_next(mask: Mask) -> None:
            fields = next(rest)
            file.write(rle.frame_line(mask, classes, frame=fields.get("frame"), time_s=fields.get("time_s")))

        yield write_next


_FILES = {".npz": _npz_like, ".mkv": _video_like, ".jsonl": _lines_like}


@contextmanager
def write_npz(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "masks.npy"
) -> Iterator[Callable[[bytes], object]]:
    """An array of masks in an .npz file, written by the bytes of each."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file.write
