"""The run: models or masks, brought to one list of classes, frame by frame, in memory that hardly grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tdseg.errors import ConfigError
from tdseg.inference.ready import warm_up
from tdseg.inference.stream import Stream
from tdseg.masks.classes import class_difference, plain_name
from tdseg.masks.mapping import ClassMapping, map_classes
from tdseg.masks.pairing import frames_with_masks
from tdseg.masks.palette import Palette, color_table, read_palette
from tdseg.masks.reading import FILES, Masks, is_masks, open_masks, size_text
from tdseg.measure.compare.difference import Comparison, SideFigures
from tdseg.measure.compare.film import Film, moments
from tdseg.metrics.basic import Mask
from tdseg.metrics.figures import FLOWS
from tdseg.metrics.iou import VOID
from tdseg.runtime.external import is_external
from tdseg.runtime.manifest import is_exported
from tdseg.runtime.network import Execution, frames_remembered
from tdseg.video import VideoReader, open_video
from tdseg.video.address import is_frames
from tdseg.video.pictures import RGB
from tdseg.zoo import catalog
from tdseg.zoo.checkpoint import WEIGHTS
from tdseg.zoo.hub import HUB
from tdseg.zoo.load import prepare

if TYPE_CHECKING:
    from tdseg.metrics.flow import Flows
    from tdseg.metrics.temporal import Steadiness


class Side(NamedTuple):
    """One of the two."""

    about: str
    """Name or path as given, and kind."""
    source: Stream | Masks
    """A model, warmed up, on its way through the video; or a mask for each of its frames."""
    mapping: ClassMapping | None = None
    """Of its masks to the classes of the comparison, where it has others."""

    @property
    def ran(self) -> str:
        """Runtime and precision of a model; empty for masks."""
        return "" if isinstance(self.source, Masks) else f"{self.source.model.runtime} {self.source.model.precision}"


class _Model(NamedTuple):
    """A side that is a model, and its own classes."""

    side: Side
    classes: Palette
    named: bool
    """It knows what they are called."""


def compare(
    a: str | Path,
    b: str | Path,
    video: str | Path,
    *,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    palette: str | Path | None = None,
    labels: str | Path | None = None,
    class_map: str | Path | None = None,
    flow: tuple[str, ...] = tuple(FLOWS),
    frames: int | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Comparison:
    """Run two models, or read the masks of any tool, beside each other on one video.

    Figures along optical flow need the extra `metrics`, and are left out without it.

    Args:
        a: a model as of `tdseg.segment_to`, or masks: a folder of PNGs, or an .npz, .mkv or .jsonl file.
        b: likewise; models and masks may be mixed.
        video: video file or folder of frames, of the size of the masks; of known length, unless `frames` is given.
        memory: frames that per-frame models are to remember, 2 … 16, or 0 for none; None: 4 for networks of others.
        size: (height, width) of the input of models, pixels; None: each model's own.
        execution: where models run, and by what.
        palette: file with a line "R G B name" for each class; coloured masks without a model beside them need it.
        labels: ground truth, in the forms of masks.
        class_map: text file with a line "class of the model = class of the comparison" for each, for models whose
            classes are not those of the comparison: of the palette, or else of the first model; None: by name, in any
            order.
        flow: what the figures along flow are taken along, dis or farneback or both, which takes longer, or none.
        frames: compare so many frames at most.
        on_progress: called after each frame with the number done and the number to do.

    Raises:
        ConfigError, WeightsError: a side or flow that is unknown or cannot be used, or a model that lacks classes of
            the comparison.
        DataError, VideoError: an input that cannot be read, or is of another length or size than the video.
        OutputError: no room for the film of the comparison while it is made.
    """
    if frames is not None and frames < 1:
        raise ConfigError(f"frames {frames}", expected="1 or more", do="choose a larger --frames")
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(video))
        total = _total(reader, frames)
        given = None if palette is None else read_palette(palette)
        sides, known = _open_sides((str(a), str(b)), given, class_map, memory, size, reader.size, execution)
        kinds = [side.source for side in sides if isinstance(side.source, Masks)]
        if labels is not None:
            kinds.append(open_masks(labels, given or known))
        classes = known or Palette("", tuple(f"class {index}" for index in range(VOID)), color_table()[:VOID])
        frame_size = reader.info.height, reader.info.width
        colors = color_table([tuple(color) for color in classes.colors.tolist()])
        film = stack.enter_context(Film(frame_size, frames=total, fps=reader.info.fps, colors=colors))
        fps = None if is_frames(video) else reader.info.fps
        flows, along = _flow_metrics(fps, flow)
        figures = [
            SideFigures(name, side.about, len(classes.names), steadiness, side.ran)
            for name, side, steadiness in zip(_short(str(a), str(b)), sides, along, strict=True)
        ]
        mappings = [side.mapping for side in sides if side.mapping]
        left_out = ", ".join(dict.fromkeys(name for mapping in mappings for name in mapping.left_out))
        told = None if labels is None else f"{labels}, without {left_out}" if left_out else str(labels)
        comparison = Comparison(reader.info.source, frame_size, fps, classes, told, figures[0], figures[1], film)
        do = ", or compare its beginning with --frames"
        for frame, found in frames_with_masks(reader, kinds, limit=frames, do=do):
            masks = [_step(side, one, frame, found) for side, one in zip(sides, figures, strict=True)]
            label = reduce(lambda known, mapping: mapping.known(known), mappings, found[0]) if found else None
            comparison.update(masks, label, flows.step(frame) if flows else {})
            film.add(frame, *masks)
            if on_progress:
                on_progress(comparison.frames, total)
        comparison.finish(reader.problem)
        film.finish(moments(comparison.agreement, film.step, apart=reader.info.fps))
    return comparison


def _open_sides(
    given: Sequence[str],
    palette: Palette | None,
    class_map: str | Path | None,
    memory: int | None,
    size: tuple[int, int] | None,
    frame: tuple[int, int],
    execution: Execution,
) -> tuple[list[Side], Palette | None]:
    """The sides, and the classes of both; None: unknown, masks may have any. Models go first, for they know them."""
    are_masks = [_are_masks(name) for name in given]
    models = [
        None if masks else _open_model(name, memory, size, frame, execution)
        for name, masks in zip(given, are_masks, strict=True)
    ]
    opened = [model for model in models if model]
    target = opened[0].classes if opened else None
    if palette:  # void at its end is not a class of a model
        names = palette.names[:-1] if palette.names[-1].lower() == "void" else palette.names
        target = palette._replace(names=names)
    renamed = palette is not None or not all(model.named for model in opened)
    sides = [
        _mapped(model, target, class_map, renamed=renamed)
        if model and target
        else Side(f"{name}: masks", open_masks(name, palette or target))
        for name, model in zip(given, models, strict=True)
    ]
    if class_map is not None and not any(side.mapping for side in sides):
        raise ConfigError(
            f"class map {class_map} for {' and '.join(given)}",
            expected="a model whose classes are not those of the palette, or of the model before it",
            do="leave --class-map out",
        )
    return sides, target


def _mapped(model: _Model, target: Palette, class_map: str | Path | None, *, renamed: bool) -> Side:
    """The side of a model, its masks in the classes of the target.

    Args:
        model: opened.
        target: the classes of both sides.
        class_map: as of `compare`.
        renamed: the same classes may have other names there.
    """
    own = model.classes
    if not class_difference(target.names, own.names):
        return model.side
    other_names = sorted(map(plain_name, own.names)) != sorted(map(plain_name, target.names))
    if class_map is None and renamed and other_names and len(own.names) == len(target.names):
        return model.side
    names = own.names if model.named else len(own.names)
    mapping = map_classes(names, target.names, class_map, between=f"{own.source} beside {target.source}")
    about = f"{model.side.about}; {mapping.told}" if mapping else model.side.about
    return model.side._replace(about=about, mapping=mapping)


def _are_masks(given: str) -> bool:
    path = Path(given)
    known = given in catalog.PACKAGED or given.startswith(HUB) or path.suffix in (".safetensors", ".onnx")
    if known or is_exported(path) or is_external(path) or os.path.isfile(path / WEIGHTS):
        return False
    if is_masks(path):
        return True
    what = f"{catalog.NETWORKS}; masks as a folder or a file, {', '.join(FILES)}; or one of these names"
    raise catalog.unknown_model(given, sorted(catalog.PACKAGED), what)


def _open_model(
    given: str, memory: int | None, size: tuple[int, int] | None, frame: tuple[int, int], execution: Execution
) -> _Model:
    model = prepare(given, execution, memory=memory, size=size, frame=frame)
    stream, config = Stream(model, size), model.config
    stream.expect(frame)
    warm_up(stream)
    colors = color_table(config.palette)[: config.num_classes]
    what = f"{given}: model, {size_text(stream.size)} in {model.runtime} {model.precision} on {model.device}"
    if remembered := frames_remembered(model):
        what += f", memory of {remembered} frames"
    return _Model(Side(what, stream), Palette(given, config.class_names, colors), bool(config.classes))


def _step(side: Side, figures: SideFigures, frame: RGB, found: list[Mask]) -> Mask:
    """The mask of a side for a frame: the next that was found, taken away, or that of its model."""
    if isinstance(side.source, Masks):
        return found.pop(0)
    result = side.source.step(frame)
    figures.latencies_ms.append(result.latency_ms)
    return side.mapping(result.mask) if side.mapping else result.mask


def _total(reader: VideoReader, limit: int | None) -> int:
    """Frames there will be, at most."""
    known = [count for count in (reader.info.num_frames, limit) if count is not None]
    if not known:
        raise ConfigError(
            f"{reader.info.source}, whose length is not known",
            expected="a video of known length",
            do="say with --frames how many frames to compare",
        )
    return max(1, min(known))


def _flow_metrics(fps: float | None, names: Sequence[str]) -> tuple[Flows | None, Sequence[Steadiness | None]]:
    """Optical flow, and what measures each side along it; none without the extra `metrics`."""
    try:
        from tdseg.metrics.flow import Flows
        from tdseg.metrics.temporal import Steadiness
    except ModuleNotFoundError:
        return None, (None, None)
    return Flows(names), (Steadiness(fps=fps), Steadiness(fps=fps))


def _short(a: str, b: str) -> tuple[str, str]:
    """Names without folders, if they then still differ."""
    short = Path(a).name, Path(b).name
    return (a, b) if short[0] == short[1] else short
