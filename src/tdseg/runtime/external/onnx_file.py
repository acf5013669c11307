"""ONNX files of others, as networks."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError, WeightsError
from tdseg.runtime.engine import Engine
from tdseg.runtime.exported import choose_reader
from tdseg.runtime.external.onnx_description import OnnxDescription, read_description, yaml_beside
from tdseg.runtime.external.onnx_plan import understand
from tdseg.runtime.external.per_frame import FREE_SIZE, PerFrameNetwork, external_config
from tdseg.runtime.network import Execution, Network, check_size
from tdseg.runtime.window import votes
from tdseg.system import installed

_VOTE = 10.0
"""The score of the class that a pixel has. Scores are logits: softmax makes 0.999 of it, and 0.5 of what two classes
share. Of 1 it would make a seventh, of 19 classes, however sure the network is."""
_MOST_VALUES = 1 << 25
"""Of votes at the network's own resolution, 128 MiB; more are averaged to half of the input's."""
_MULTIPLE = 32
"""Of sizes that follow from the frames: of the strides that there are, the largest usual one."""
_FIRST_BYTES = bytes.fromhex("08 12 1a 22 28 32 3a 42 72")
"""Tags of the fields of an ONNX model, one of which comes first; as a rule that of its version."""
_log = logging.getLogger("tdseg")


class OnnxNetwork(PerFrameNetwork):
    """A graph of others in ONNX Runtime or OpenVINO. See `Network`; any thread may run it.

    Args:
        graph: the file; the .onnx file.
        name: of the network.
        engine: the graph, loaded.
        told: what is written beside it.
        size: (height, width) of the input, pixels, for one that takes several; None: as is written, or any.

    Raises:
        ConfigError: graph and description contradict each other, or leave something open.
        WeightsError: it is no network for semantic segmentation.
    """

    def __init__(
        self, graph: Path, name: str, engine: Engine, told: OnnxDescription, size: tuple[int, int] | None = None
    ) -> None:
        self._graph, self._engine, self._asked = graph, engine, size or told.size
        self._plan = plan = understand(graph, told, engine.inputs, engine.outputs)
        height, width = (own or free for own, free in zip(plan.sides, self._asked or FREE_SIZE, strict=True))
        config = external_config(
            name,
            plan.num_classes,
            (height, width),
            classes=told.classes,
            palette=told.palette,
            votes=plan.indices,
        )
        precision = "fp16" if plan.dtype == "float16" else "fp32"  # no runtime tells that of the weights
        super().__init__(config, engine.name, precision, engine.where)
        self.fit_size(size)
        divisor = 255.0 if told.range == "0..1" else 1.0
        mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (told.mean, told.std))
        self._scale, self._offset = (1 / (divisor * std)).float(), (-mean / std).float()
        self._reversed = told.channels == "BGR"

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network: the graph's; where it takes several, the one described, or that of the frames, about."""
        sides = self._plan.sides
        if size is None:
            asked = self._asked or tuple(max(2, round(side / _MULTIPLE)) * _MULTIPLE for side in frame or FREE_SIZE)
            height, width = (own or free for own, free in zip(sides, asked, strict=True))
            return height, width
        if any(own not in (None, side) for own, side in zip(sides, size, strict=True)):
            own = "x".join("any" if side is None else str(side) for side in sides)
            raise ConfigError(
                f"size {size[0]}x{size[1]} for {self._graph}, which takes {own}",
                expected=f"{own}, to which frames of any size are resized",
                do="leave --size out, or export the network again for this size",
            )
        return check_size(size, self.config.size)

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork. Of indices, votes: `_VOTE` for the class of a pixel, nothing for the others.

        Raises:
            ConfigError: the graph does not run at this size, or gives something else than it says.
        """
        return torch.cat([self._scores(image[None]) for image in images])

    def _scores(self, image: Tensor) -> Tensor:
        """Of one frame, uint8 (1, 3, h, w)."""
        plan, size = self._plan, (image.shape[-2], image.shape[-1])
        try:
            given = self._engine.run([self._input(image.cpu())])[plan.output]
        except Exception as error:  # the kinds of ONNX Runtime share no base
            raise ConfigError(
                f"{self._graph} does not run in {self.runtime} on a frame of {size[0]}x{size[1]} "
                f"({' '.join(str(error).split())[:300]})",
                expected="a network that runs at the size it is given",
                do=f"give --size HxW as it was trained for, or write it in {yaml_beside(self._graph)}: size: [H, W]",
            ) from None
        channels = 1 if plan.indices else plan.num_classes
        if given.ndim == 3 and plan.indices:
            given = given[:, None]
        elif given.ndim == 4 and (plan.output_layout == "NHWC" or (plan.indices and given.shape[1] != 1)):
            given = given.transpose(0, 3, 1, 2)
        if given.ndim != 4 or given.shape[:2] != (1, channels) or min(given.shape[2:]) < 2:
            raise ConfigError(
                f"{self._graph} gave {given.dtype} {given.shape}, with the classes on the second axis",
                expected=f"(1, {channels}, h, w)",
                do=f"correct num_classes, output_layout or kind in {yaml_beside(self._graph)}",
            )
        if plan.indices:
            return index_scores(torch.from_numpy(given[:, 0].astype(np.int64)), plan.num_classes, size)
        return torch.from_numpy(np.ascontiguousarray(given, np.float32))

    def _input(self, image: Tensor) -> NDArray[np.generic]:
        """The frame as the graph takes it."""
        if self._reversed:
            image = image.flip(1)
        if self._plan.dtype != "uint8":
            image = (image * self._scale).add_(self._offset).to(getattr(torch, self._plan.dtype))
        if self._plan.layout == "NHWC":
            image = image.permute(0, 2, 3, 1)
        array: NDArray[np.generic] = image.contiguous().numpy()
        return array


def index_scores(indices: Tensor, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Class indices as scores, float32 (B, C, ·, ·): each cell votes for its class.

    Args:
        indices: int64 (B, h, w); those outside 0 … C-1, such as 255, vote for none.
        num_classes: C.
        size: (height, width) of the network's input, pixels.
    """
    cells = (indices.shape[-2], indices.shape[-1])
    if num_classes * math.prod(cells) > _MOST_VALUES:
        cells = min(cells[0], -(-size[0] // 2)), min(cells[1], -(-size[1] // 2))
    return votes(indices, range(num_classes), cells).mul_(_VOTE)


def _check_file(path: Path) -> None:
    """See that a file begins as an ONNX model: of another one OpenVINO prints what each of its readers makes of it."""
    try:
        with path.open("rb") as file:
            first = file.read(1)
        why = "" if first and first in _FIRST_BYTES else "not an ONNX file"
    except OSError as error:
        why = error.strerror or "unreadable"
    if why:
        raise WeightsError(
            f"{path}: {why}", expected="a network as an ONNX file", do="check the path, or export the network again"
        )


def open_onnx(path: Path, name: str, execution: Execution, size: tuple[int, int] | None = None) -> Network:
    """The network in an ONNX file; see `open_external`. ONNX Runtime takes over where OpenVINO, chosen here, fails."""
    if execution.form:
        raise ConfigError(
            f"{name}, an ONNX file, with a form of torch",
            expected="the graph as it is",
            do="leave the options of torch out",
        )
    _check_file(path)
    runtime = choose_reader(name, "onnx", execution)
    told, short = read_description(yaml_beside(path)), Path(name).name.removesuffix(path.suffix) or path.stem
    if runtime == "openvino":
        from tdseg.runtime.openvino import check_device, open_bare

        check_device(execution.device)
        try:
            engine = open_bare(path, execution.threads)
        except WeightsError as error:
            if execution.runtime != "auto" or not installed("onnxruntime"):
                raise
            _log.warning("%s runs in ONNX Runtime: %s", name, error.got)
        else:
            return OnnxNetwork(path, short, engine, told, size)
    from tdseg.runtime.onnxruntime import OnnxRuntimeEngine

    return OnnxNetwork(path, short, OnnxRuntimeEngine(path, execution), told, size)
