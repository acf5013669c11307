"""The cost of a model by design: parameters, multiply-adds and state, counted rather than measured."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tdseg.models.propagation import TDNetState
from tdseg.models.subnets import SubFeature
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Network


def parameters(model: nn.Module) -> int:
    """Number of parameters; what paths share counts once. A fused model has fewer: its batch norms are gone."""
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_per_path(model: TDNet) -> tuple[int, ...]:
    """Number of parameters that each path uses, shared ones included."""
    modules = len(model.paths)
    return tuple(parameters(model.paths[path % modules]) for path in range(model.config.paths))


def multiply_adds(model: TDNet, size: tuple[int, int]) -> tuple[int, ...]:
    """Multiply-adds of a frame, by the path that runs, with a full memory.

    Those of convolutions and matrix products; additions, activations, norms and resizing are not counted.

    Args:
        model: any form of it: what counts is its configuration.
        size: (height, width) of the input, pixels.

    Raises:
        ConfigError: the model does not take this size.
    """
    twin, x, state = _twin(model, size)
    counts = []
    for _ in range(model.config.paths):
        with FlopCounterMode(display=False) as counter:
            _, state = twin.advance(twin.encode(x, state.path), state)
        counts.append(_multiply_adds(counter))
    return tuple(counts)


def merging_multiply_adds(model: TDNet, size: tuple[int, int]) -> int:
    """Those multiply-adds of a frame, mean of the paths, that bring it together with the memory: what its turn takes
    beside its sub-network and its head. 0 for a per-frame model. Arguments and errors: as `multiply_adds`.
    """
    twin, x, state = _twin(model, size)
    total = 0
    for path in map(twin.path, range(len(twin.paths))):
        with FlopCounterMode(display=False) as turn:
            code = path.encode(x).code
            path.turn(code, state.memory)
        with FlopCounterMode(display=False) as alone:
            feature = path.subnet(x)
            z = feature.z if isinstance(feature, SubFeature) else feature
            path.head(path.norm(z if path.propagation.after_head else code.value))
        total += _multiply_adds(turn) - _multiply_adds(alone)
    return total // len(twin.paths)


def run_multiply_adds(network: Network, size: tuple[int, int]) -> int | None:
    """Multiply-adds of a first frame, seen while it runs; None where another runtime than torch does them.

    Args:
        network: any, such as one of others, whose layers are not known.
        size: (height, width) of the input, pixels.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.advance(network.encode(torch.zeros(1, 3, *size, dtype=torch.uint8), 0), TDNetState())
    return _multiply_adds(counter) or None


def bytes_of(state: TDNetState) -> int:
    """Bytes of the tensors of a state as it is."""
    return sum(tensor.numel() * tensor.element_size() for tensor in state.memory)


def _twin(model: TDNet, size: tuple[int, int]) -> tuple[TDNet, Tensor, TDNetState]:
    """The model on the meta device, where nothing is computed or stored, a frame, and the state after it."""
    custom = model.config.subnet == "custom"  # only copies know it; of the others, folded or not, all are counted alike
    with torch.device("meta"):
        twin, x = (copy.deepcopy(model) if custom else TDNet(model.config)).to("meta"), torch.empty(1, 3, *size)
    twin.eval().requires_grad_(False)
    return twin, x, twin.step(x)[1]


def _multiply_adds(counter: FlopCounterMode) -> int:
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition
