"""Masks of any tool: a folder of PNGs, indexed or coloured, or an .npz file. Needs no model and no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tdseg.errors import DataError
from tdseg.masks.classmap import Mask
from tdseg.masks.labels import ClassTable, not_indexed, read_pixels
from tdseg.masks.npz import npz_names, read_npz
from tdseg.masks.numbering import numbers_of
from tdseg.masks.palette import Palette, unreadable
from tdseg.video.pictures import is_image, natural_order


class Masks:
    """The masks of one video, in order; made by :func:`open_masks`. Each iteration reads them anew, one at a time.

    Attributes:
        source: what the user gave, printable.
        names: of each mask, such as its file's name.
        size: (H, W) of all of them, pixels.
        numbers: of each file in its sequence, growing; None where the names have none.
    """

    def __init__(
        self,
        source: Path,
        names: list[str],
        read: Callable[[], Iterable[Mask]],
        palette: Palette | None,
        numbers: list[int] | None = None,
    ) -> None:
        self.source = str(source)
        self.names = names
        self.numbers = numbers
        self._read = read
        self._table = None if palette is None else ClassTable.of(palette)
        self.size: tuple[int, int] = next(self._classes())[1].shape

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Mask]:
        """uint8 (H, W) class indices, 255 void.

        Raises:
            DataError: a mask that cannot be read, is of another size, or holds what is no class.
        """
        for name, mask in self._classes():
            if mask.shape != self.size:
                raise DataError(
                    f"{name} is {size_text(mask.shape)}, {self.names[0]} is {size_text(self.size)}",
                    expected="masks of one size",
                    do="give the masks of each video by themselves",
                )
            yield mask

    def _classes(self) -> Iterator[tuple[str, Mask]]:
        for name, pixels in zip(self.names, self._read(), strict=True):
            if self._table:
                yield name, self._table.classes(pixels, name)
            elif pixels.ndim == 2:
                yield name, pixels
            else:
                raise not_indexed(name, "RGB", "give the colours of the classes with --palette")


def open_masks(path: str | Path, palette: Palette | None = None) -> Masks:
    """Open the masks of a video and read the first.

    Args:
        path: a folder of PNGs in natural order (2 before 10): indexed or grey ones hold the class itself, coloured ones
            need `palette`; or an .npz file with one array of integers or bools, (T, H, W), read frame by frame.
        palette: the classes there are; any other is refused.

    Raises:
        DataError: nothing there, files of another kind or of several videos, numbers that leave a gap, a mask that
            cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return Masks(path, npz_names(path), lambda: read_npz(path), palette)
    try:
        files = sorted((f for f in path.iterdir() if is_image(f) and f.suffix.lower() == ".png"), key=natural_order)
    except OSError as error:
        raise unreadable(path, error.strerror or "unreadable") from None
    if not files:
        raise DataError(
            f"{path}: no PNG in it",
            expected="a folder of masks as PNG, or an .npz file",
            do="give the folder that holds the masks themselves; lossy formats such as JPEG hold no classes",
        )
    return Masks(path, [str(file) for file in files], lambda: map(read_pixels, files), palette, numbers_of(files))


def size_text(shape: tuple[int, ...]) -> str:
    """ "360x480" of (360, 480, …)."""
    return f"{shape[0]}x{shape[1]}"
