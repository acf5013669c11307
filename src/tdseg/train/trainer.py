"""Everything that changes from step to step of a run, and the step itself."""

from __future__ import annotations

import math
import os
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tdseg.data.transforms import Batch
from tdseg.errors import ConfigError, WeightsError, first_line
from tdseg.models.path import NetworkPath
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import ClipOutput, TDNet
from tdseg.system import __version__
from tdseg.train.distill import Distiller
from tdseg.train.losses import class_weights, clip_losses, part_weights
from tdseg.train.mixture import Mixture, seed_of
from tdseg.train.optim import Average, lr_factor, make_optimizer, settle_statistics
from tdseg.train.recipe import Recipe
from tdseg.train.supply import Supply
from tdseg.zoo import catalog
from tdseg.zoo.checkpoint import unusable

_PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: one of them evaluates and loads alone."""


class Outcome(NamedTuple):
    """A step that is done."""

    terms: dict[str, float]
    """Weighted loss terms, means over the processes."""
    readings: dict[str, float]
    """Other facts of the step to log, likewise."""
    lr: float
    """Of new layers."""
    stop: bool
    """A process was asked to end."""
    problems: int
    """Bad draws of all processes."""


class Launch(NamedTuple):
    """A step on its way."""

    terms: list[str]
    """Names."""
    readings: list[str]
    """Names."""
    means: Tensor
    """Over the processes: of terms, readings, norm of the gradient, stop, bad draws."""


def make_fabric(precision: str) -> Fabric:
    """This process, or as one of those that torchrun started; on GPUs where there are any."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=world // local,
        # A path's own weights have gradients at its turn only.
        strategy=DDPStrategy(find_unused_parameters=True, timeout=_PATIENCE) if world > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def make_network(recipe: Recipe, mixture: Mixture) -> TDNet:
    """The network of a recipe with the classes of its data, its weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    classes = {"num_classes": len(mixture.classes), "classes": mixture.classes, "palette": mixture.palette}
    return TDNet(
        catalog.model_config(recipe.model, **{**classes, **recipe.overrides}),
        aux=recipe.losses.aux > 0,
        dropout=recipe.dropout,
    )


class Trainer:
    """A network in training.

    Args:
        recipe: of its training.
        fabric: of this process.
        network: as it starts; trained in place.
        shares: (C,) of the classes among the data's labelled pixels.
        distiller: adds the terms of a teacher; its weights are part of no checkpoint.
    """

    def __init__(
        self, recipe: Recipe, fabric: Fabric, network: TDNet, shares: Tensor, distiller: Distiller | None = None
    ) -> None:
        self.recipe = recipe
        self.distiller = distiller
        self.fabric = fabric
        settle_statistics(network)
        self.average = Average(network.to(memory_format=torch.channels_last), recipe.optimizer.ema)  # type: ignore[call-overload]
        self.average.model.to(fabric.device)
        training = _ClipNetwork(network)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            training = nn.SyncBatchNorm.convert_sync_batchnorm(training)  # type: ignore[no-untyped-call]
        if fabric.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # crops have one size
        self.network = training.network
        self._frozen = self._prepare()
        self.module, self.optimizer = fabric.setup(training, make_optimizer(self.network, recipe.optimizer))
        self.class_weights = class_weights(shares, recipe.losses.balance).to(fabric.device)

    def launch(self, step: int, supply: Supply, *, stop: bool) -> Launch:
        """Train on what is supplied for a step, 0 … recipe.steps-1, without waiting for the device.

        Args:
            step: number of the step.
            supply: this process's share of the batch.
            stop: this process was asked to end; Outcome.stop tells all of them.

        Returns:
            What `read` takes.

        Raises:
            ConfigError: the batch is too small for the network.
        """
        recipe, fabric = self.recipe, self.fabric
        self.network.train()
        for module in self._frozen:
            module.eval()
        torch.manual_seed(seed_of(recipe.seed, step, fabric.global_rank))  # dropout, the same after a resume
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * lr_factor(recipe.optimizer, step, recipe.steps)
        m = self.network.config.paths
        first = (step - recipe.length + 1) % m  # so that the newest frame meets every path in turn
        totals, readings = dict[str, Tensor](), dict[str, Tensor]()
        scored = 1 if recipe.score == "last" else recipe.length
        weights = part_weights(supply.parts, scored, self.class_weights, recipe.losses, self._mean)
        for i, part in enumerate(supply.parts):
            with fabric.no_backward_sync(self.module, enabled=i + 1 < len(supply.parts)):
                output = self._forward(part.frames, first)
                terms = self._terms(output, part, weights[i])
                fabric.backward(torch.stack(list(terms.values())).sum() / len(supply.parts))
            for kept, values in ((totals, terms), (readings, output.readings or {})):
                for name, value in values.items():
                    kept[name] = kept.get(name, 0.0) + value.detach() / len(supply.parts)
        norm = fabric.clip_gradients(
            self.module, self.optimizer, max_norm=recipe.optimizer.clip or math.inf, error_if_nonfinite=False
        )
        assert norm is not None
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.network)
        facts = torch.tensor([float(stop), float(len(supply.problems))]).to(fabric.device, non_blocking=True)
        means = torch.cat([torch.stack([*totals.values(), *readings.values(), norm]).float(), facts])
        return Launch(list(totals), list(readings), self._mean(means))

    def read(self, step: int, launch: Launch) -> Outcome:
        """The outcome of a step that `launch` began; waits for the device.

        Raises:
            ConfigError: a loss or a gradient is not finite.
        """
        recipe = self.recipe
        *values, norm, stop, problems = launch.means.tolist()
        terms = dict(zip(launch.terms, values, strict=False))
        readings = dict(zip(launch.readings, values[len(terms) :], strict=True))
        scaled = recipe.precision == "16-mixed"  # whose scaler leaves out such steps
        if not all(map(math.isfinite, terms.values())) or not (math.isfinite(norm) or scaled):
            what = ", ".join(f"{name} {value:.4g}" for name, value in {**terms, "gradient norm": norm}.items())
            raise ConfigError(
                f"step {step + 1} is not finite: {what}",
                expected="finite losses and gradients",
                do="lower optimizer.lr or optimizer.clip, or set precision to 32-true, and train in another folder; "
                "checkpoints of earlier steps are kept",
            )
        lr = recipe.optimizer.lr * lr_factor(recipe.optimizer, step, recipe.steps)
        return Outcome(terms, readings, lr, stop > 0, round(problems * self.fabric.world_size))

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "version": __version__,
            "model": self.network.state_dict(),
            "average": self.average.model.state_dict(),
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint.

        Raises:
            WeightsError: it is of another network, or not finite.
        """
        try:
            if wrong := [*unusable(state["model"]), *unusable(state["average"])]:
                raise ValueError(wrong[0])
            self.network.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.average.updates = int(state["updates"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.fabric.strategy.precision.load_state_dict(state["scaler"])
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:  # all that torch raises
            raise WeightsError(
                f"the checkpoint of step {state['step']}: {first_line(error)}",
                expected="the tensors of this recipe's network and optimizer",
                do="remove the file, so that an earlier one is taken, or start again in a new folder",
            ) from None

    def _forward(self, frames: Tensor, first: int) -> ClipOutput:
        """Run the clips of a part.

        Raises:
            ConfigError: they are too few for a batch norm of features that are pooled to one position.
        """
        try:
            output: ClipOutput = self.module(frames, first, self.recipe.score)
        except (ValueError, RuntimeError) as error:  # the latter where it is compiled
            if "more than 1 value per channel" not in str(error):
                raise
            raise ConfigError(
                f"batch={self.recipe.batch} with accumulate={self.recipe.accumulate}: {len(frames)} clip at a time "
                f"goes through {self.recipe.model}, and a batch norm in it sees one value",
                expected="2 clips or more: features that are pooled to one position are normalised over clips",
                do="raise batch, lower accumulate, or keep the statistics that training starts with: freeze_norm: true",
            ) from None
        return output

    def _terms(self, output: ClipOutput, part: Batch, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weighted loss terms of a part of a batch, the same names in every process."""
        terms = clip_losses(output, part, self.class_weights, self.recipe.losses, self._mean)
        terms = {name: weights[name] * term for name, term in terms.items()}
        if self.distiller is not None:
            with self.fabric.autocast():
                terms |= self.distiller.losses(output, part.frames)
        return terms

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over the processes, without gradient."""
        if self.fabric.world_size == 1:
            return values.detach()
        mean: Tensor = self.fabric.all_reduce(values.detach().float().clone(), reduce_op="mean")  # type: ignore[assignment]
        return mean

    def _prepare(self) -> list[nn.Module]:
        """Set the sub-networks up; gives the modules that stay as in inference."""
        recipe, frozen = self.recipe, list[nn.Module]()
        if recipe.freeze_norm:
            new = {norm for path in self._paths() for norm in path.encoder.modules()}  # and live in later runs, too
            frozen += [norm for norm in self.network.modules() if isinstance(norm, _BatchNorm) and norm not in new]
        for path in self._paths():
            path.recompute = recipe.checkpoint_activations and not recipe.freeze_subnet
            if recipe.freeze_subnet:
                frozen.append(path.subnet.requires_grad_(False))  # so nothing of them is stored, either
            if recipe.compile:
                path.subnet.compile()
        return frozen

    def _paths(self) -> list[NetworkPath]:
        return [self.network.path(index) for index in range(self.network.config.distinct_paths)]


class _ClipNetwork(nn.Module):
    """A network run over clips, which gives a state that gradients do not flow to.

    No loss reads it, and DDP waits for the gradient of all that is given out.
    """

    def __init__(self, network: TDNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, first: int, score: Literal["last", "all"]) -> ClipOutput:
        """Frames (B, T, 3, H, W) in 0..255, the path of the first of them -> their ClipOutput."""
        start = self.network.initial_state(first)
        output = self.network.forward_clip(self.network.normalize(frames), start, score, batch_paths=True)
        path, memory = output.state
        return output._replace(state=TDNetState(path, tuple(x.detach() for x in memory)))
