"""A look at the data of a run, and at all that is wrong with it, before hours are spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.data.clip import ClipDataset
from tdseg.data.source import Source, open_source
from tdseg.errors import TdsegError
from tdseg.masks.labels import LabelError
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID

OnProgress = Callable[[int, int | None], None]


@dataclass
class SourceReport:
    """One source, and what is missing or wrong in it."""

    source: dict[str, Any]
    """Its fields."""
    name: str
    """Such as "CamVid val"."""
    images: int
    """Frames that clips may end at: the labelled ones, or, without labels, those drawn from."""
    clips: int
    without_history: list[str]
    """Labelled frames that end no clip, because too few frames are before them."""
    missing: list[str]
    """Files that should be there, such as labels and frames before labelled ones."""
    sizes: dict[str, int]
    """Number of images of each size, as HxW."""
    shares: dict[str, float]
    """Percent of the labelled pixels that are of each class."""
    ignored: float
    """Percent of all pixels that have no class."""
    unreadable: list[str]
    """Images and labels that cannot be read."""
    labels: list[str]
    """Labels that hold what is no class, or are of another size than their image."""
    advice: list[str]
    """What to do about these."""
    doubts: list[str]
    """What can be read, but hardly means what it is read as, and what to do: no pixel of a class, or of any; masks of 0
    and 255; images that EXIF turns without their labels."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong. Frames without history are not, as long as there are clips."""
        return self.clips > 0 and not (self.missing or self.unreadable or self.labels or self.doubts)

    def as_dict(self) -> dict[str, Any]:
        """Its fields and sound."""
        return {**asdict(self), "sound": self.sound}


def check(sources: Sequence[Source], *, on_progress: OnProgress | None = None) -> list[SourceReport]:
    """Look at sources: every labelled image and its label are read once, of the frames before them only the names.

    Of synthetic data, one video stands for all.

    Args:
        sources: what a run would draw from.
        on_progress: called with (images read, images in all) of each data set in turn.

    Raises:
        DataError: data is not there, or in another layout.
    """
    pixels: dict[Source, dict[str, Any]] = {}
    reports = []
    for source in sources:
        still = Source(data=source.data, root=source.root, split=source.split, num_classes=source.num_classes)
        stills, clips = open_source(still, strict=False), open_source(source, strict=False)
        if still not in pixels:
            pixels[still] = _read(stills, one_video=source.root is None, on_progress=on_progress)
        reports.append(
            SourceReport(
                source=source.model_dump(mode="json"),
                name=clips.name,
                images=len(stills),
                clips=len(clips),
                without_history=list(clips.dropped),
                missing=list(dict.fromkeys([*stills.flaws, *clips.flaws])),
                **pixels[still],
            )
        )
    return reports


def _read(data: ClipDataset, *, one_video: bool, on_progress: OnProgress | None) -> dict[str, Any]:
    """The fields of a report from `sizes` on, which are of pixels."""
    counts, sizes = np.zeros(256, np.int64), Counter[str]()
    unreadable, labels, advice, doubts = list[str](), list[str](), list[str](), [*data.doubts]
    indices = [i for i in range(len(data)) if not one_video or data.sequence(i) == data.sequence(0)]
    for done, index in enumerate(indices, 1):
        label: Mask | None = None
        try:
            label = data[index].labels[-1].numpy()
            if doubt := data.doubt(index):
                doubts.append(doubt)
        except LabelError as error:
            labels.append(error.got)
            advice.append(error.do)
            label = error.mask
        except TdsegError as error:
            unreadable.append(error.got)
        if label is not None:
            sizes["x".join(map(str, label.shape))] += 1
            counts += np.bincount(label.ravel(), minlength=256)
        if on_progress:
            on_progress(done, len(indices))
    labelled = counts[:VOID].sum()
    if data.has_labels and not one_video and not data.doubts:
        doubts += _empty(data.classes, counts)
    return {
        "sizes": dict(sizes.most_common()),
        "shares": {name: _percent(count, labelled) for name, count in zip(data.classes, counts, strict=False)},
        "ignored": _percent(counts[VOID], counts.sum()),
        "unreadable": unreadable,
        "labels": labels,
        "advice": list(dict.fromkeys(advice)),
        "doubts": doubts,
    }


def _empty(classes: Sequence[str], counts: NDArray[np.int64]) -> list[str]:
    """That there are classes which no pixel has, given the pixels of each value."""
    none = [name for name, count in zip(classes, counts, strict=False) if not count]
    if not none or not counts.any():
        return []
    if not counts[:VOID].any():
        return ["no pixel has a class; label some, or see whether their values or colours are those of the classes"]
    return [f"no pixel is {', '.join(none)}; add pictures of it, leave it out, or see which value or colour it has"]


def _percent(count: np.integer[Any], of: np.integer[Any]) -> float:
    return round(100 * float(count) / max(int(of), 1), 4)
