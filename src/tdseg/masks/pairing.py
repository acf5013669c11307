"""Masks beside the frames that they are of: one for each, of one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from tdseg.errors import DataError
from tdseg.masks.reading import Masks, size_text
from tdseg.metrics.basic import Mask
from tdseg.video import VideoReader
from tdseg.video.pictures import RGB


def frames_with_masks(
    video: VideoReader, masks: Sequence[Masks], *, limit: int | None = None, do: str = ""
) -> Iterator[tuple[RGB, list[Mask]]]:
    """Each frame of a video, (H, W, 3), with its mask of every kind, (H, W).

    Args:
        video: read as far as needed.
        masks: of each kind: of a tool, of another one, labels; none at all where only frames are wanted.
        limit: frames at most; None: all, and as many masks.
        do: what helps, beside the right video, where there are more or fewer of one than of the other.

    Raises:
        DataError: a size that differs or changes, a frame without mask, a mask without frame.
    """
    size, count = (video.info.height, video.info.width), 0
    kinds = [(kind, iter(kind)) for kind in masks]
    for frame in islice(video, limit):
        if frame.image.shape[:2] != size:
            raise DataError(
                f"{video.info.source}: frame {frame.index} is {size_text(frame.image.shape)}, not {size_text(size)}",
                expected="frames of one size",
                do="cut the video where its size changes",
            )
        found = []
        for kind, rest in kinds:
            if (mask := next(rest, None)) is None:
                raise _other_length(video, kind, f"it goes on after {kind.names[-1]}, the last mask", do)
            if mask.shape != size:
                raise DataError(
                    f"{kind.names[count]} is {size_text(mask.shape)}, its frame is {size_text(size)}",
                    expected=f"masks of the size of the frames of {video.info.source}",
                    do="resize the masks without interpolation, or give the video they were made from",
                )
            found.append(mask)
        yield frame.image, found
        count += 1
    for kind in masks:
        if count != limit and count < len(kind):
            why = f" ({video.problem})" if video.problem else ""
            raise _other_length(video, kind, f"no frame for {kind.names[count]}{why}", do)


def check_labels(masks: Masks, labels: Masks) -> None:
    """See to it that there is a label of its size for each mask, by the same number where both are numbered.

    The numbers may differ by a constant: one may count from 0, the other from 1.

    Raises:
        DataError: there is not.
    """
    if len(masks) != len(labels):
        raise DataError(
            f"{len(masks)} masks in {masks.source}, {len(labels)} labels in {labels.source}",
            expected="a label for every mask, in the same order",
            do="add what is missing, or leave --labels out",
        )
    if masks.size != labels.size:
        raise DataError(
            f"{masks.names[0]} is {size_text(masks.size)}, {labels.names[0]} is {size_text(labels.size)}",
            expected="masks of the size of the labels",
            do="resize the masks without interpolation",
        )
    steps = [number - other for number, other in zip(masks.numbers or [], labels.numbers or [], strict=False)]
    for name, label, step in zip(masks.names, labels.names, steps, strict=False):
        if step != steps[0]:
            raise DataError(
                f"the label of {name} would be {label}",
                expected="labels with the numbers of the masks, or with the same steps from another start",
                do="give the labels of these very frames",
            )


def _other_length(video: VideoReader, masks: Masks, what: str, do: str) -> DataError:
    return DataError(
        f"{video.info.source}: {what}",
        expected=f"{len(masks)} frames, one for each mask in {masks.source}",
        do="give the video that the masks were made from, uncut" + do,
    )
