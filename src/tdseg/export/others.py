"""Export of networks of others: an ONNX graph, and what it does not say of itself in a YAML file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tdseg.data.source import Source
from tdseg.errors import ConfigError
from tdseg.export import parity
from tdseg.export.footage import open_footage
from tdseg.export.request import OnProgress, Request, check_output, checkers, versions
from tdseg.export.write import OPSET, save_onnx, trace_module
from tdseg.files.publishing import whole_folder
from tdseg.runtime.external import ONNX
from tdseg.runtime.external.onnx_description import OnnxDescription, write_description, yaml_beside
from tdseg.runtime.external.onnx_file import open_onnx
from tdseg.runtime.external.per_frame import PerFrameNetwork
from tdseg.runtime.manifest import Manifest, TensorSpec, checksums
from tdseg.runtime.network import Execution, Network

CHECKED_ON, GIVEN = 8, 64
"""Frames of a rendered street, and at most of a source that is given."""
_IMAGE, _SCORES = "image", "scores"


def export_external(
    network: Network,
    folder: Path,
    request: Request,
    source: str | Path | Source | None,
    *,
    overwrite: bool,
    on_progress: OnProgress | None,
) -> Manifest:
    """See `tdseg.export.export`.

    Args:
        network: with a `graph_module`.
        folder: to write.
        request: as `check_external` gives it.
        source: what the graph is checked on.
        overwrite, on_progress: as of `export`.
    """
    config, size = network.config, request.size
    former = check_output(folder, overwrite)
    footage = open_footage(source, GIVEN if source else CHECKED_ON, size, config.classes)
    model = _traced(network, size)
    shape = [axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim]
    with whole_folder(folder, former, Path(ONNX)) as staging:
        graph = staging / ONNX
        save_onnx(model, graph)
        described = OnnxDescription(
            input=_IMAGE,
            output=_SCORES,
            kind="scores",
            num_classes=config.num_classes,
            classes=config.classes,
            palette=config.palette,
        )
        write_description(described, yaml_beside(graph))
        candidates = [(size, open_onnx(graph, config.name, Execution("cpu", one))) for one in checkers("onnx")]
        return Manifest(
            format=1,
            target="onnx",
            precision="fp32",
            opset=OPSET,
            size=size,
            stride=round(size[0] / max(shape[2], 1)),
            graph=ONNX,
            image=TensorSpec(name=_IMAGE, dtype="uint8", shape=(1, 3, *size)),
            logits=TensorSpec(name=_SCORES, dtype="float32", shape=tuple(shape)),
            memory=(),
            parity=parity.check(network, candidates, request, footage, on_progress),
            versions=versions(request),
            sha256=checksums(staging),
            model=config,
        )


def _traced(network: Network, size: tuple[int, int]) -> Any:
    """The network as an onnx.ModelProto, uint8 RGB (1, 3, h, w) -> float32 (1, C, ·, ·).

    Raises:
        ConfigError: it is no module of torch, or none that can be exported.
    """
    if not isinstance(network, PerFrameNetwork):
        raise ConfigError(
            f"export of {network.config.name}, which runs in {network.runtime}",
            expected="a per-frame model of Hugging Face, or weights of tdseg",
            do="use it as it is",
        )
    module, image = network.graph_module(), torch.zeros(1, 3, *size, dtype=torch.uint8)
    try:
        return trace_module(module, (image,), [_IMAGE], [_SCORES], None)
    except Exception as error:  # whatever its code raises: it was not written to be traced
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no reason given")
        raise ConfigError(
            f"{network.config.name} cannot be exported: {type(cause).__name__}: {reason[:300]}",
            expected="a network of operations that ONNX has, whatever the picture",
            do="use it in torch, as it is",
        ) from None
