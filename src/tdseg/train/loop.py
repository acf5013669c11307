"""The training loop: a function of recipe and folder that can be stopped and resumed at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from tdseg import zoo
from tdseg.data.transforms import Batch, make_batch
from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.train.checkpoint import latest_checkpoint, save_checkpoint
from tdseg.train.init import initialise
from tdseg.train.losses import class_weights, clip_losses
from tdseg.train.mixture import Mixture
from tdseg.train.optim import Average, make_optimizer, set_lr
from tdseg.train.recipe import Recipe
from tdseg.weights import write_model

Log = Callable[[str], None]
LOG_EVERY = 20


class Trainer:
    """Everything that changes from step to step of a run, and the step itself."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.fabric = Fabric(devices=1)
        self.fabric.seed_everything(recipe.seed, verbose=False)
        self.mixture = Mixture(recipe.sources, recipe.seed)
        classes = {
            "num_classes": len(self.mixture.classes),
            "classes": self.mixture.classes,
            "palette": self.mixture.palette,
        }
        network = TDNet(
            zoo.model_config(recipe.model, **{**classes, **recipe.overrides}),
            aux=recipe.losses.aux > 0,
            dropout=recipe.dropout,
        )
        initialise(network, recipe.init)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.module, self.optimizer = self.fabric.setup(network, make_optimizer(network, recipe.optimizer))
        self.module.mark_forward_method("forward_clip")
        self.average = Average(network, recipe.optimizer.ema)
        shares = self.mixture.class_shares(network.config.num_classes)
        self.class_weights = class_weights(shares, recipe.losses.balance).to(self.fabric.device)

    def step(self, step: int) -> dict[str, float]:
        """Train on the clips of one step; returns the weighted loss terms."""
        recipe = self.recipe
        self._train_mode()
        set_lr(self.optimizer, recipe.optimizer, step, recipe.steps)
        clips, generator = self.mixture.draw(step, recipe.batch)
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))  # dropout, the same after a resume
        batch = make_batch(clips, recipe.length, recipe.augmentation, generator)
        batch = Batch(*(value.to(self.fabric.device) for value in batch))
        output = self.module.forward_clip(self.network.normalize(batch.frames), score=recipe.score, batch_paths=True)
        terms = clip_losses(output, batch, self.class_weights, recipe.losses)
        loss: Tensor = torch.stack(list(terms.values())).sum()
        values = {name: term.item() for name, term in terms.items()}
        if not math.isfinite(sum(values.values())):
            raise ConfigError(
                f"a loss that is not finite at step {step}: {values}",
                expected="finite loss terms",
                do="resume from the last checkpoint with a smaller learning rate",
            )
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.module, self.optimizer, max_norm=recipe.optimizer.clip or math.inf)
        self.optimizer.step()
        self.average.update(self.network)
        return values

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.model.state_dict(),
            "updates": self.average.updates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.model.load_state_dict(state["average"])
        self.average.updates = state["updates"]

    def _train_mode(self) -> None:
        self.network.train()
        if self.recipe.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()


def fit(recipe: Recipe, output: Path, *, resume: bool = False, log: Log = print) -> TDNet:
    """Train, leaving `model.safetensors` and `checkpoints/` in `output`.

    Args:
        recipe: what to train, on what, and how.
        output: folder of the run.
        resume: go on from the newest checkpoint in `output`, to the same weights as an uninterrupted run.
        log: receives a line now and then.

    Returns:
        The averaged model, as written.

    Raises:
        ConfigError: `output` holds another run and `resume` is not given, or the loss is not finite.
    """
    checkpoints = output / "checkpoints"
    checkpoint = latest_checkpoint(checkpoints) if resume else None
    if checkpoint is None and checkpoints.exists() and not resume:
        raise ConfigError(f"{output} holds a run", expected="an empty folder", do="add --resume or choose another")
    trainer = Trainer(recipe)
    start = 0
    if checkpoint is not None:
        trainer.restore(checkpoint)
        start = checkpoint["step"]
        log(f"resumed at step {start}")
    began, losses = time.monotonic(), []
    for step in range(start, recipe.steps):
        losses.append(trainer.step(step))
        done = step + 1
        if done % LOG_EVERY == 0:
            left = (time.monotonic() - began) / (done - start) * (recipe.steps - done) / 60
            log(f"step {done}/{recipe.steps} loss {_means(losses)}, {left:.1f} min left")
            losses.clear()
        if done % recipe.checkpoint_every == 0 or done == recipe.steps:
            save_checkpoint(checkpoints, done, trainer.state())
    about = {"recipe": recipe.model_dump(mode="json")}
    write_model(trainer.average.model, output / "model.safetensors", about=about)
    return trainer.average.model


def _means(losses: list[dict[str, float]]) -> str:
    """Mean of the total and of each term over some steps; a term may be missing from some of them."""
    total = sum(sum(terms.values()) for terms in losses) / len(losses)
    names = dict.fromkeys(name for terms in losses for name in terms)
    parts = (f"{name} {sum(terms.get(name, 0.0) for terms in losses) / len(losses):.3f}" for name in names)
    return f"{total:.3f} ({', '.join(parts)})"
