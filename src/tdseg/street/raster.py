"""The canvas: a picture of words, painted from back to front as a pinhole camera above a street sees it."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.camera import NEAR, View
from tdseg.street.texture import CLASS, NOTHING, RGB, Bytes, Floats, Span, Texture, Words, blend

Face: TypeAlias = tuple[int, int, tuple[int, int, int, int]]
"""First corner of a polygon, the one after its last, and its red, green, blue and label byte."""


class Canvas:
    """Words (H, W) to paint on. Painting order is occlusion order."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.words: Words = np.zeros(size, np.uint32)
        self._rows = np.arange(size[0], dtype=np.float32) + 0.5
        self._columns = np.arange(size[1], dtype=np.float32) + 0.5

    def haze(self, colour: np.uint32, view: View, depth: float) -> None:
        """Lay a thin sheet of mist, one eighth opaque, over all that is painted beyond `depth`."""
        last = round(view.horizon + view.focal * view.height / depth)
        below = self.words[:last]
        below -= (below >> np.uint32(3)) & np.uint32(0x1F1F1F)
        below += (colour >> np.uint32(3)) & np.uint32(0x1F1F1F)

    def quad(self, texture: Texture, x: Span, z: Span, y: Span, view: View) -> None:
        """Paint a texture on an upright rectangle that stands on x[0], z[0] … x[1], z[1] between heights y."""
        (x0, x1), (z0, z1), t0, t1 = x, z, 0.0, 1.0
        if z0 < NEAR or z1 < NEAR:
            if max(z0, z1) <= NEAR:
                return
            cut = (NEAR - z0) / (z1 - z0)
            if z0 < NEAR:
                x0, z0, t0 = x0 + cut * (x1 - x0), NEAR, cut
            else:
                x1, z1, t1 = x0 + cut * (x1 - x0), NEAR, cut
        left, right = view.centre + view.focal * x0 / z0, view.centre + view.focal * x1 / z1
        if left > right:
            left, right, z0, z1, t0, t1 = right, left, z1, z0, t1, t0
        columns = _cells(left, right, self.words.shape[1])
        if columns.start >= columns.stop or right < 0 or left > self.words.shape[1]:
            return
        if z0 == z1:
            self._board(texture, columns, (left, right), t1 < t0, view.focal / z0, y, view)
        else:
            self._wall(texture, columns, (left, right), (z0, z1), (t0, t1), y, view)

    def _wall(self, texture: Texture, columns: slice, sides: Span, z: Span, t: Span, y: Span, view: View) -> None:
        """Paint a quad that recedes: each column has its own depth, and its own level of the texture."""
        (left, right), (z0, z1), (t0, t1) = sides, z, t
        a = (self._columns[columns] - np.float32(left)) / np.float32(max(right - left, 1e-3))
        a = np.minimum(np.maximum(a, 0), 1)
        near1 = a * np.float32(1 / z1)
        inverse = near1 + (1 - a) * np.float32(1 / z0)
        across = t0 + near1 * np.float32(t1 - t0) / inverse
        top = view.horizon + np.float32(view.focal * (view.height - y[1])) * inverse
        tall = np.maximum(np.float32(view.focal * (y[1] - y[0])) * inverse, 1)
        rows = _cells(top.min(), (top + tall).max(), self.words.shape[0])
        if rows.start >= rows.stop:
            return
        # a wall seen at a grazing angle is minified more across than down: the level lies between
        squeeze = abs(t1 - t0) / (max(right - left, 1.0) * z0 * z1) * texture.widths[0] / (inverse * inverse)
        stretch = texture.heights[0] / tall
        level = (np.log2(stretch * np.maximum(stretch, squeeze)) * 0.5 + 0.5).astype(np.int32)
        level = np.minimum(np.maximum(level, 0), len(texture.starts) - 1)
        wide, high = texture.widths[level], texture.heights[level]
        column = texture.starts[level] + np.minimum(across * wide, wide - 1).astype(np.int32)
        scale = high / tall
        down = self._rows[rows, None] * scale
        down -= top * scale
        index = down.astype(np.int32)
        inside = (down >= 0) & (down < high)
        index *= wide.astype(np.int32)
        index += column
        words = texture.texels.take(index, mode="clip")
        blend(self.words[rows, columns], words, inside, solid=texture.solid, sheer=texture.sheer)

    def _board(
        self, texture: Texture, columns: slice, sides: Span, mirrored: bool, scale: float, y: Span, view: View
    ) -> None:
        """Paint a quad that faces the camera, scale pixels to the metre."""
        left, right = sides
        top, bottom = view.horizon + scale * (view.height - y[1]), view.horizon + scale * (view.height - y[0])
        rows = _cells(top, bottom, self.words.shape[0])
        if rows.start >= rows.stop:
            return
        stretch = max(float(texture.heights[0]) / max(bottom - top, 1.0), 1.0)
        level = min(int(math.log2(stretch) + 0.5), len(texture.starts) - 1)
        wide, high = int(texture.widths[level]), int(texture.heights[level])
        column = ((self._columns[columns] - left) * (wide / max(right - left, 1.0))).astype(np.int32)
        if high == 1:  # a plain texture
            self.words[rows, columns] = texture.texels.take(column, mode="clip")
            return
        row = ((self._rows[rows] - top) * (high / max(bottom - top, 1.0))).astype(np.int32)
        np.minimum(column, wide - 1, out=column)
        np.minimum(row, high - 1, out=row)
        if mirrored:
            column = wide - 1 - column
        row *= wide
        row += texture.starts[level]
        words = texture.texels.take(row[:, None] + np.maximum(column, 0), mode="clip")
        blend(self.words[rows, columns], words, solid=texture.solid, sheer=texture.sheer)

    def polygons(self, corners: Floats, faces: list[Face]) -> None:
        """Paint polygons, one over the other; corners (n, 2) are columns and rows of all of them."""
        height, width = self.words.shape
        left, top = (max(int(edge), 0) for edge in corners.min(0))
        right, bottom = (min(int(edge) + 2, limit) for edge, limit in zip(corners.max(0), (width, height), strict=True))
        if left >= right or top >= bottom:
            return
        patch = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, NOTHING))
        draw = ImageDraw.Draw(patch)
        flat = (corners - np.array([left, top], np.float32)).ravel().tolist()
        for start, end, fill in faces:
            draw.polygon(flat[2 * start : 2 * end], fill=fill)
        words = np.frombuffer(patch.tobytes(), np.uint32).reshape(bottom - top, right - left)
        blend(self.words[top:bottom, left:right], words)

    def labels(self) -> Bytes:
        """The classes painted so far, uint8 (H, W)."""
        return ((self.words & CLASS) >> np.uint32(24)).astype(np.uint8)

    def colours(self) -> Words:
        """The colours painted so far, words without labels."""
        return self.words & RGB


def _cells(low: float, high: float, limit: int) -> slice:
    """The pixels below `limit` whose middles lie between two edges; thin things keep one."""
    first = max(0, math.ceil(low - 0.5))
    return slice(first, min(limit, max(math.ceil(high - 0.5), first + 1)))
