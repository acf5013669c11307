"""Masks written in the form of others: names of files, kind of file, palettes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tdseg.errors import OutputError
from tdseg.files import check_target, whole_file, whole_folder
from tdseg.masks.palette import Palette
from tdseg.masks.reading import Masks, open_npz
from tdseg.metrics.basic import Mask
from tdseg.video.pictures import open_image

Write = Callable[[Mask], None]


@contextmanager
def written_like(
    masks: Masks, output: Path, palette: Palette | None = None, *, overwrite: bool = False
) -> Iterator[Write]:
    """Write as many masks as there are of a video, in the form of those, whole or not at all.

    Args:
        masks: a folder of PNGs, or an .npz file.
        output: folder to be; for an .npz file the .npz file to be.
        palette: the colours that coloured masks are written in.
        overwrite: replace a former output.

    Yields:
        What writes the next mask, (H, W) class indices.

    Raises:
        OutputError: the output exists, holds anything but such masks, or cannot be written.
    """
    if Path(masks.source).suffix.lower() == ".npz":
        check_target(output, overwrite=overwrite)
        with whole_file(output) as staged, _npz_like(masks, staged) as write:
            yield write
        return
    files = [Path(name) for name in masks.names]
    _check_folder(output, {file.name for file in files}, overwrite)
    rest = iter(files)
    with whole_folder(output) as folder:

        def write_next(mask: Mask) -> None:
            original = next(rest)
            _picture_like(original, mask, palette).save(folder / original.name, "PNG", compress_level=1)

        yield write_next


def _check_folder(folder: Path, names: set[str], overwrite: bool) -> None:
    """Refuse a folder that holds what the masks would take the place of, or what they would not."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file", expected="a folder", do="choose another with --output")
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if held and not overwrite:
        raise OutputError(
            f"output folder {folder} is in use",
            expected="a new or an empty folder",
            do="choose another with --output, or replace the masks in it with --overwrite",
        )
    if other := sorted(held - names):
        raise OutputError(
            f"output folder {folder} holds {other[0]}, which is no mask of these names",
            expected="a new or an empty folder, or a former result",
            do="choose another with --output",
        )


def _picture_like(original: Path, mask: Mask, palette: Palette | None) -> Image.Image:
    """A mask as a picture of the mode of another, with its palette."""
    with open_image(original) as image:
        mode, colors, about = image.mode, image.getpalette() if image.mode == "P" else None, dict(image.info)
    if mode in ("RGB", "RGBA"):
        assert palette is not None, "coloured masks are read by one"
        return Image.fromarray(palette.colors[mask]).convert(mode)
    if mode == "1":
        return Image.fromarray(mask.astype(bool))
    picture = Image.fromarray(mask)
    if colors is not None:
        picture.putpalette(colors)
        if "transparency" in about:
            picture.info["transparency"] = about["transparency"]
    return picture


@contextmanager
def _npz_like(masks: Masks, staged: Path) -> Iterator[Write]:
    """One array of the name and type that the masks have, written mask by mask."""
    with open_npz(Path(masks.source)) as ((member, *_), _, shape, dtype):
        name = member.filename
    with (
        zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

        def write_next(mask: Mask) -> None:
            file.write(mask.astype(dtype).tobytes())

        yield write_next
