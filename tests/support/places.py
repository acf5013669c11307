"""Where things are: this checkout, and the real data beside it, which few machines have."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
CAMVID = ROOT / "data" / "camvid"
if not CAMVID.is_dir():
    CAMVID = SHARED / "data" / "camvid"
CLIPS = SHARED / "data" / "clips"
