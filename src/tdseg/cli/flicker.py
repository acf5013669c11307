"""`tdseg flicker`."""

from __future__ import annotations

from pathlib import Path

from tdseg.cli.figures import show, write_json
from tdseg.cli.terminal import DONE, needs, progress_bar


def flicker(
    masks: Path,
    /,
    *,
    video: str | None = None,
    labels: Path | None = None,
    fps: float | None = None,
    palette: Path | None = None,
    phases: int = 1,
    map: Path | None = None,
    json: Path | None = None,
    quiet: bool = False,
) -> int:
    """Measure how steady the masks of a video are, whatever tool made them.

    Args:
        masks: Folder of indexed, grey or coloured PNGs, or an .npz file with one array (T, H, W).
        video: What they are masks of, for the figures along optical flow.
        labels: Ground truth, in the forms of the masks.
        fps: Frames per second; by default the video's own.
        palette: File with a line "R G B name" for each class; coloured masks need it.
        phases: Split the flip rate by t mod PHASES.
        map: Write where the masks flicker to FILE.png, FILE.mp4, or both into a folder.
        json: Write the figures to this file.
        quiet: Print errors only.
    """
    with needs("metrics"):
        from tdseg.measure.flicker import flicker
    from tdseg.files import check_target

    if json:
        check_target(json)
    with progress_bar(quiet) as on_progress:
        report = flicker(
            masks,
            video=video,
            labels=labels,
            fps=fps,
            palette=palette,
            phases=phases,
            map=map,
            on_progress=on_progress,
        )
    if not quiet:
        show(report)
    if json:
        write_json(report, json)
    return DONE
