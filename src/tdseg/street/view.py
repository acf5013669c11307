"""Where the camera is, and how it projects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdseg.street.texture import Floats

NEAR = 0.7  # metres; what is nearer is cut off
FAR = 165.0


@dataclass(frozen=True)
class View:
    """A pinhole camera above a street. Street coordinates are (along, across): metres along the
    centre line, and to the right of it. Camera coordinates are x to the right and z ahead, in metres."""

    focal: float  # pixels
    centre: float  # column of the optical axis
    horizon: float  # row of the horizon
    height: float  # of the camera above the road, metres
    along: float
    across: float
    heading: float  # of the camera, radians to the right of the street's direction at along = 0
    bends: Floats  # (3, n): amplitude, wave number in 1/m and phase of the street's heading

    def ahead(self, along: Floats, length: float) -> Floats:
        """z of places along a street that repeats after `length`, from a little behind the camera on."""
        return np.asarray((along - self.along + 20.0) % length - 20.0, np.float32)

    def centre_line(self, z: Floats) -> Floats:
        """x of the street's centre line at depth z."""
        amplitude, wave, phase = (row[:, None] for row in self.bends)
        start = wave * self.along + phase
        drift = (amplitude / wave * (np.cos(start) - np.cos(start + wave * z.ravel()))).sum(0)
        return np.asarray(drift.reshape(z.shape) - self.heading * z - self.across, np.float32)

    def project(self, x: Floats, y: Floats | np.float32, z: Floats) -> tuple[Floats, Floats]:
        """Column and row of points at x, height y and depth z, cut off at the near plane."""
        scale = self.focal / np.maximum(z, NEAR)
        columns, rows = self.centre + x * scale, self.horizon + (self.height - y) * scale
        return columns.astype(np.float32, copy=False), rows.astype(np.float32, copy=False)
