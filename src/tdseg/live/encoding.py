"""Results as bytes: pictures, masks, and messages of JSON."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.inference.stream import Result
from tdseg.live.refusal import RequestError
from tdseg.masks import draw, rle

MaskForm = Literal["rle", "png", "none"]
QUALITY = 80
"""Of JPEG."""
STEPS = 20
"""Of opacity from 0 to 1: what bounds how often one frame is drawn, whatever its viewers ask for."""
MOST_SCANS = 20
"""Of a JPEG: a progressive one has some ten. Each costs the time of all pixels, however few bytes it has."""
_SCAN = b"\xff\xda"
"""What a scan begins with; the data of pictures has no such bytes."""


def opacity_of(text: str) -> float:
    """The opacity of a query, in STEPS.

    Raises:
        RequestError: not 0 … 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise RequestError(422, f"opacity {text[:40]!r}", expected="0 … 1", do="leave it out, or choose another")
    return round(value * STEPS) / STEPS


def overlay_jpeg(result: Result, opacity: float) -> bytes:
    """The frame with its classes in colour; with opacity 0 the frame as it came."""
    return _jpeg(result.overlay(opacity) if opacity else result.frame)


def mask_png(result: Result) -> bytes:
    """The mask, 8-bit indexed."""
    file = io.BytesIO()
    draw.write_mask(file, result.mask, result.colors)
    return file.getvalue()


def result_message(result: Result, mask: MaskForm, *, picture: bool, fps: float) -> str:
    """A result as a message.

    Args:
        result: to tell.
        mask: as run lengths of each class, as a PNG in base64, or left out.
        picture: with the frame, a JPEG in base64.
        fps: of its session.
    """
    fields: dict[str, Any] = {
        "type": "result",
        "index": result.index,
        "time_s": None if result.time_s is None else round(result.time_s, 6),
        "age_ms": rounded(result.age_ms),
        "latency_ms": rounded(result.latency_ms),
        "fps": rounded(fps),
        "size": list(result.mask.shape),
        "shares": class_shares(result),
    }
    if mask == "rle":
        fields["segments"] = rle.segments_of(result.mask, result.classes)
    elif mask == "png":
        fields["mask"] = base64.b64encode(mask_png(result)).decode()
    if picture:
        fields["frame"] = base64.b64encode(_jpeg(result.frame)).decode()
    return json.dumps(fields, ensure_ascii=False)


def class_shares(result: Result) -> dict[str, float]:
    """Share of each class that is in the picture, 0..1, the largest first."""
    shares = result.counts[: len(result.classes)] / result.mask.size
    seen = np.flatnonzero(shares)
    order = seen[np.argsort(-shares[seen], kind="stable")]
    return {result.classes[index]: round(float(shares[index]), 5) for index in order.tolist()}


def rounded(value: float | None) -> float | None:
    """A figure as it is told; None where there is none."""
    return None if value is None else round(value, 2)


def read_jpeg(content: bytes, most_pixels: int) -> NDArray[np.uint8]:
    """A JPEG of a client as uint8 (H, W, 3) RGB.

    Raises:
        RequestError: it is damaged, something else, or of too many pixels or scans, which is known in advance.
    """
    if (scans := content.count(_SCAN)) > MOST_SCANS:
        raise RequestError(
            422, f"a JPEG of {scans} scans", expected=f"at most {MOST_SCANS}", do="encode it without progression"
        )
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.width * image.height > most_pixels:
                raise RequestError(
                    413,
                    f"a frame of {image.width}x{image.height}",
                    expected=f"at most {most_pixels} pixels",
                    do="send it smaller; the network sees fewer pixels anyway",
                )
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RequestError(
            422, "a frame that is no whole JPEG", expected="one JPEG a message, binary", do="encode each frame as JPEG"
        ) from None


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
