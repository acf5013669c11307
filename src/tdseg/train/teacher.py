"""Frozen teachers: per-frame models of ours, larger TDNets, and models of Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.masks.classes import class_difference
from tdseg.models.layers import resize
from tdseg.models.tdnet import TDNet
from tdseg.runtime.external.hugging_face import open_hugging_face
from tdseg.runtime.external.segmenter import HuggingFaceNetwork
from tdseg.runtime.network import Execution
from tdseg.train.recipe import Distillation
from tdseg.zoo.hub import HUB, fetch
from tdseg.zoo.load import load

_LEAST = 1e-8


class Answer(NamedTuple):
    """A teacher's logits of the S scored frames of each clip, at a resolution of its own, without gradient."""

    full: Tensor
    """Logits (B, S, C, h', w')."""
    group: Tensor | None = None
    """Logits (B, S, C, h', w') from the channel group of the path that ran each frame; None: there are no groups."""


class Teacher(Protocol):
    """All that distillation asks of a teacher."""

    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """Its logits of the last S frames of clips.

        Args:
            frames: (B, T, 3, h, w) float RGB in 0..255, on the teacher's device.
            paths: the student's path for each of the S frames.
        """
        ...


class PerFrameTeacher:
    """A per-frame model of ours, whose head can also be asked about one group of its input's channels alone.

    For a plain 3x3 convolution without bias, that is one of the convolutions g_i that it can be cut into by input
    channels: full logits are head(Σ g_i), a group's head(m·g_i).

    Args:
        model: with one path.
        groups: the group, of as many, for each of the student's paths; None: no groups.
        scaled: multiply a group by their number, so that it speaks as loud as all of them.
    """

    def __init__(self, model: TDNet, groups: Sequence[int] | None = None, *, scaled: bool = True) -> None:
        self.model = model.eval().requires_grad_(False)
        self.path = model.path(0)
        self.masks: Tensor | None = None
        if groups is not None:
            masks = group_masks(model.config.subnet, self.path.subnet.channels, len(groups))[list(groups)]
            self.masks = (masks * (len(groups) if scaled else 1)).to(next(model.parameters()).device)

    @torch.no_grad()
    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """See `Teacher`."""
        scored = len(paths)
        x = self.model.normalize(frames[:, -scored:].flatten(0, 1))
        z = self.path.norm(self.model.encode(x, 0).code.value)
        full = self.path.head(z).unflatten(0, (-1, scored))
        if self.masks is None:
            return Answer(full)
        masks = self.masks[list(paths)].repeat(len(frames), 1)  # (B·S, C)
        return Answer(full, self.path.head(z * masks[:, :, None, None]).unflatten(0, (-1, scored)))


class ClipTeacher:
    """A TDNet, which sees the clip as the student does: from its first frame, at the same phase."""

    def __init__(self, model: TDNet) -> None:
        self.model = model.eval().requires_grad_(False)

    @torch.no_grad()
    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """See `Teacher`."""
        count = frames.shape[1]
        state = self.model.initial_state((paths[-1] + 1 - count) % self.model.config.paths)
        logits = []
        for x in self.model.normalize(frames).unbind(1):
            out, state = self.model.advance(self.model.encode(x, state.path), state)
            logits.append(out)
        return Answer(torch.stack(logits[-len(paths) :], 1))


class HuggingFaceTeacher:
    """A segmentation model of the library transformers, semantic or universal, frame by frame."""

    def __init__(self, network: HuggingFaceNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """See `Teacher`."""
        seen = frames[:, -len(paths) :]
        size = (seen.shape[-2], seen.shape[-1])
        if (taken := self.network.nearest_size(size)) != size:
            seen = resize_frames(seen, taken)
        scores = self.network.scores(seen.flatten(0, 1))
        return Answer(scores.view(-1, len(paths), *scores.shape[1:]))


class AveragedTeacher:
    """A teacher asked at several zooms, and about mirrored frames: the mean of its probabilities, as their logarithms.

    Args:
        teacher: whom to ask.
        scales: zooms; the answer has the resolution of the largest.
        flip: ask about mirrored frames, too.
    """

    def __init__(self, teacher: Teacher, scales: Sequence[float], *, flip: bool) -> None:
        self.teacher = teacher
        mirrored = (False, True) if flip else (False,)
        self.views = [(scale, mirror) for scale in sorted(scales, reverse=True) for mirror in mirrored]

    @torch.no_grad()
    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """See `Teacher`."""
        full, groups = list[Tensor](), list[Tensor]()
        for scale, mirrored in self.views:
            seen = resize_frames(frames, (round(scale * frames.shape[-2]), round(scale * frames.shape[-1])))
            answer = self.teacher.answer(seen.flip(-1) if mirrored else seen, paths)
            for kept, logits in zip((full, groups), answer, strict=True):
                if logits is not None:
                    kept.append(logits.flip(-1) if mirrored else logits)
        return Answer(_log_mean(full), _log_mean(groups) if groups else None)


def load_teacher(
    config: Distillation, student: ModelConfig, *, per_frame: Path | None = None, device: torch.device | str = "cpu"
) -> Teacher:
    """The teacher that a recipe names, frozen.

    Args:
        config: names it, and says how it is asked.
        student: configuration of the model that learns.
        per_frame: file of the model that "per-frame" stands for.
        device: where it runs.

    Raises:
        ConfigError: an unknown name, other classes than the student's, or paths that its channels cannot be cut for.
        WeightsError: weights that cannot be read, or are not those of a segmentation model.
    """
    name = str(per_frame) if config.teacher == "per-frame" and per_frame else config.teacher
    hub = name.startswith(HUB) or os.path.isdir(name)
    return make_teacher(config, student, load_hugging_face(name, device) if hub else load(name).to(device), name)


def make_teacher(config: Distillation, student: ModelConfig, model: TDNet | HuggingFaceTeacher, name: str) -> Teacher:
    """A model as the teacher of a student, frozen.

    Args:
        config, student: as of `load_teacher`.
        model: who teaches.
        name: for errors.

    Raises:
        ConfigError: other classes than the student's, or paths that its channels cannot be cut for.
    """
    known = model.config if isinstance(model, TDNet) else model.network.config
    theirs = known.classes or known.num_classes
    if apart := class_difference(student.classes or student.num_classes, theirs):
        raise ConfigError(
            f"teacher {name}: {apart}",
            expected="the classes of the student, in the same order",
            do="choose a teacher that was trained on the classes of the data",
        )
    teacher: Teacher
    if not isinstance(model, TDNet):
        teacher = model
    elif model.config.paths > 1:
        teacher = ClipTeacher(model)
    else:
        groups = groups_of(student) if config.grouped and config.sub else None
        teacher = PerFrameTeacher(model, groups, scaled=config.scaled)
    if config.scales == (1.0,) and not config.flip:
        return teacher
    return AveragedTeacher(teacher, config.scales, flip=config.flip)


def load_hugging_face(name: str, device: torch.device | str = "cpu") -> HuggingFaceTeacher:
    """The teacher in a folder of `save_pretrained`, or at hf://org/name[@revision].

    Raises:
        ConfigError: transformers is not installed.
        WeightsError: weights that cannot be read, or are not those of a segmentation model.
    """
    path = fetch(name) if name.startswith(HUB) else Path(name)
    return HuggingFaceTeacher(open_hugging_face(path, f"teacher {name}", Execution(str(device))))


def groups_of(student: ModelConfig) -> tuple[int, ...] | None:
    """The teacher's group, of m, that each of the student's m paths learns from; None: all learn from all of them.

    A path that keeps one of g parts of its features learns from a group inside that part: td4-psp18, whose paths keep
    halves 0, 1, 0, 1, from quarters 0, 2, 1, 3. Paths with the same weights have nothing to be different with.

    Raises:
        ConfigError: g does not divide m.
    """
    m, g = student.paths, student.groups
    if m == 1 or student.distinct_paths < m:
        return None
    if m % g:
        raise ConfigError(
            f"grouped distillation of {student.name} with paths={m} and groups={g}",
            expected="a number of paths that the channel groups divide",
            do="change paths or groups, or set distill.grouped to false",
        )
    return tuple(m // g * (path % g) + path // g for path in range(m))


def group_masks(subnet: str, channels: int, groups: int) -> Tensor:
    """Which channels of a per-frame model's features belong to each of `groups` groups: (groups, channels) of 0 and 1.

    The i-th of equal parts; of PSPNet, of the backbone's channels and of each of the four levels of the pyramid.

    Raises:
        ConfigError: parts that are not whole.
    """
    sections = (channels // 2, *[channels // 8] * 4) if subnet.startswith("psp") else (channels,)
    if any(section % groups for section in sections):
        raise ConfigError(
            f"a teacher with {subnet} features of {channels} channels for {groups} paths",
            expected=f"channels, {' + '.join(map(str, sections))}, that can be cut into {groups} equal parts",
            do="choose another teacher, or set distill.grouped to false",
        )
    return torch.cat([torch.eye(groups).repeat_interleave(section // groups, 1) for section in sections], 1)


def resize_frames(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, with aligned corners: (B, T, C, h, w) -> (B, T, C, *size)."""
    return resize(x.flatten(0, 1), size).view(*x.shape[:3], *size)


def _log_mean(answers: list[Tensor]) -> Tensor:
    size = (answers[0].shape[-2], answers[0].shape[-1])
    probabilities = torch.stack([resize_frames(answer.float().softmax(2), size) for answer in answers]).mean(0)
    return probabilities.clamp(min=_LEAST).log()
