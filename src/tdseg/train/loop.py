"""The training loop: a function of recipe and folder that can be stopped and resumed at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Generator, Tensor

from tdseg import zoo
from tdseg.data.clip import IGNORE, Clip, ClipDataset
from tdseg.data.transforms import Batch, make_batch
from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.train.checkpoint import latest_checkpoint, save_checkpoint
from tdseg.train.init import initialise
from tdseg.train.losses import class_weights, clip_losses
from tdseg.train.optim import Average, make_optimizer, set_lr
from tdseg.train.recipe import Recipe, Source
from tdseg.weights import write_model

Log = Callable[[str], None]


class Mixture:
    """Draws the clips of any step from weighted sources. A pure function of seed and step: nothing to save."""

    def __init__(self, sources: tuple[Source, ...], seed: int) -> None:
        self.datasets = [open_source(source, "train") for source in sources]
        self.weights = torch.tensor([source.weight for source in sources])
        self.seed = seed

    def draw(self, step: int, count: int) -> tuple[list[Clip], Generator]:
        """The clips of a step, and the generator for everything else that is random about it."""
        generator = Generator().manual_seed(self.seed * 1_000_003 + step)
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()
        clips = []
        for which in chosen:
            dataset = self.datasets[which]
            clips.append(dataset[int(torch.randint(len(dataset), (), generator=generator))])
        return clips, generator

    def class_shares(self, num_classes: int) -> Tensor:
        """(C,) share of each class among the labelled pixels of the first source."""
        counts = torch.zeros(256)
        for i in range(len(self.datasets[0])):
            counts += torch.bincount(self.datasets[0][i].labels.flatten(), minlength=256)
        return counts[:num_classes] / counts[:num_classes].sum()


def open_source(source: Source, split: Any) -> ClipDataset:
    """The data set that a recipe names."""
    if source.data == "camvid":
        from tdseg.data.camvid import CamVid

        assert source.root is not None, "Recipe guarantees it"
        return CamVid(source.root, split, length=source.length)
    from tdseg.data.synthetic import StreetClips

    return StreetClips(length=source.length)


def fit(recipe: Recipe, output: Path, *, resume: bool = False, log: Log = print) -> TDNet:
    """Train, leaving `model.safetensors` and `checkpoints/` in `output`.

    Args:
        resume: go on from the newest checkpoint in `output`, to the same weights as an uninterrupted run.
        log: receives a line now and then.

    Raises:
        ConfigError: `output` holds another run and `resume` is not given, or the loss is not finite.
    """
    checkpoint = latest_checkpoint(output / "checkpoints") if resume else None
    if checkpoint is None and (output / "checkpoints").exists():
        raise ConfigError(f"{output} holds a run", expected="an empty folder", do="add --resume or choose another")
    fabric = Fabric(devices=1)
    fabric.seed_everything(recipe.seed, verbose=False)
    bare = TDNet(zoo.model_config(recipe.model, **recipe.overrides), aux=True)
    initialise(bare, recipe.init)
    bare = bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model, optimizer = fabric.setup(bare, make_optimizer(bare, recipe.optimizer))
    model.mark_forward_method("forward_clip")
    average = Average(bare, recipe.optimizer.ema)
    mixture = Mixture(recipe.sources, recipe.seed)
    weights = class_weights(mixture.class_shares(bare.config.num_classes), recipe.losses.balance).to(fabric.device)
    start = 0
    if checkpoint is not None:
        start = _restore(checkpoint, bare, optimizer, average)
        log(f"resumed at step {start}")
    began, mean = time.monotonic(), 0.0
    for step in range(start, recipe.steps):
        bare.train()
        if recipe.freeze_norm:
            _freeze_norm(bare)
        set_lr(optimizer, recipe.optimizer, step, recipe.steps)
        clips, generator = mixture.draw(step, recipe.batch)
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))  # dropout
        batch = _to(make_batch(clips, recipe.length, recipe.augmentation, generator), fabric.device)
        output_clip = model.forward_clip(_normalise(bare, batch.frames), batch_paths=True)
        terms = clip_losses(output_clip, batch, weights, recipe.losses)
        loss = torch.stack(list(terms.values())).sum()
        if not math.isfinite(loss.item()):
            raise ConfigError(
                f"loss {loss.item()} at step {step} ({ {k: v.item() for k, v in terms.items()} })",
                expected="a finite loss",
                do="resume with a smaller learning rate; the last checkpoint is good",
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=recipe.optimizer.clip)
        optimizer.step()
        average.update(bare)
        mean = loss.item() if mean == 0.0 else 0.95 * mean + 0.05 * loss.item()
        if (step + 1) % 20 == 0:
            left = (time.monotonic() - began) / (step + 1 - start) * (recipe.steps - step - 1)
            parts = " ".join(f"{name} {value.item():.3f}" for name, value in terms.items())
            log(f"step {step + 1}/{recipe.steps} loss {mean:.3f} ({parts}) {left / 60:.1f} min left")
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
            state = {"model": bare.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"average": average.model.state_dict(), "updates": average.updates}
            save_checkpoint(output / "checkpoints", step + 1, state)
    trained = average.model
    write_model(trained, output / "model.safetensors", about={"recipe": recipe.model_dump(mode="json")})
    return trained


def _normalise(model: TDNet, frames: Tensor) -> Tensor:
    return model.normalize(frames)


def _restore(checkpoint: dict[str, Any], model: TDNet, optimizer: Any, average: Average) -> int:
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    average.model.load_state_dict(checkpoint["average"])
    average.updates = checkpoint["updates"]
    return int(checkpoint["step"])


def _freeze_norm(model: TDNet) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(*(value.to(device) for value in batch))
