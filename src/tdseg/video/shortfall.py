"""Why fewer frames of a video came than it declares."""

from __future__ import annotations

import re
from dataclasses import dataclass

from av.video.stream import VideoStream


@dataclass
class Packets:
    """The packets of a stream, and what ended it early."""

    packets: int = 0
    failed: int = 0
    stopped: str | None = None
    skipped: bool = False
    """Reading began in the middle, so these are not all there are."""
    ended: bool = False
    """Reading ended where it was to end, before the last of them."""


def tagged_duration(stream: VideoStream) -> float | None:
    """Seconds of the stream by Matroska's tag, which does not count the audio as the container's duration does."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


def shortfall(stream: VideoStream, counts: Packets, count: int, end_s: float, fps: float) -> str | None:
    """The reason in words; None where all that was declared came.

    Args:
        stream: read to its end.
        counts: its packets.
        count: frames that came.
        end_s: end of the last of them, seconds from the start of the video.
        fps: frames per second.
    """
    # Packets, not frames, are held against the declared count: edit lists hide frames of whole files.
    # Half a second is the leave for a duration that is not a count.
    part = counts.skipped or counts.ended
    frames = 0 if part else stream.frames
    duration_s = tagged_duration(stream) or 0.0
    if counts.skipped and not duration_s and stream.duration and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    cut = not counts.ended and (counts.packets < frames or end_s + 0.5 < duration_s)
    if not (cut or counts.failed or counts.stopped):
        return None
    declared = 0 if part else frames or round(duration_s * fps)
    parts = [f"{count} of {declared} declared frames came" if declared else f"{count} frames came"]
    if counts.failed:
        parts.append(f"{counts.failed} damaged packet{'s were' if counts.failed > 1 else ' was'} skipped")
    if counts.stopped:
        parts.append(f"reading stopped: {counts.stopped}")
    elif cut:
        parts.append("the file is cut off")
    return "; ".join(parts)
