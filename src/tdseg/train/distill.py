"""Grouped distillation: a frozen teacher adds its view of every pixel to the loss, labelled or not.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.masks.classes import class_difference
from tdseg.models.tdnet import ClipOutput
from tdseg.train.hugging_face import load_hugging_face
from tdseg.train.recipe import Distillation
from tdseg.train.teacher import AveragedTeacher, ClipTeacher, PerFrameTeacher, Teacher, groups_of, resize_frames
from tdseg.zoo.load import HUB, load

_EPSILON = 1e-8


class Distiller:
    """The terms that a teacher adds to the loss of a student.

    It is no module: the teacher's weights are none of the student's, and none of its checkpoints.

    Args:
        config: weights and temperature.
        teacher: of `load_teacher`.
        student: its configuration.
    """

    def __init__(self, config: Distillation, teacher: Teacher, student: ModelConfig) -> None:
        self.config = config
        self.teacher = teacher
        self.student = student

    def losses(self, output: ClipOutput, frames: Tensor) -> dict[str, Tensor]:
        """Weighted terms "distill", and "distill_sub" where the student has a memory.

        Means over all pixels at the resolution of the student's head, those without label and those outside the source
        picture among them. With clips of one number on every process, the mean over processes is that of one process.

        Args:
            output: of the student's `forward_clip`, in training.
            frames: (B, T, 3, h, w) float RGB in 0..255, those of the student: Batch.frames.
        """
        assert output.head_logits is not None, "training mode keeps the logits of the head"
        size = (output.head_logits.shape[-2], output.head_logits.shape[-1])
        answer = self.teacher.answer(frames, paths_of(output, self.student.paths))
        config, full = self.config, resize_frames(answer.full, size)
        terms = {"distill": config.full * divergence(full, output.head_logits, config.temperature)}
        if config.sub and output.state.memory and output.sub_logits is not None:
            group = full if answer.group is None else resize_frames(answer.group, size)
            terms["distill_sub"] = config.sub * divergence(group, output.sub_logits, config.temperature)
        return terms


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
    teacher: Teacher
    if name.startswith(HUB) or Path(name).is_dir():
        teacher = theirs = load_hugging_face(name, device)
        _check_classes(name, student, theirs.classes or theirs.num_classes)
    else:
        model = load(name).to(device)
        _check_classes(name, student, model.config.classes or model.config.num_classes)
        if model.config.paths > 1:
            teacher = ClipTeacher(model)
        else:
            groups = groups_of(student) if config.grouped and config.sub else None
            teacher = PerFrameTeacher(model, groups, scaled=config.scaled)
    if config.scales == (1.0,) and not config.flip:
        return teacher
    return AveragedTeacher(teacher, config.scales, flip=config.flip)


def divergence(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(T ‖ S) = Σ_c T log(T / S), the mean over pixels, with 1e-8 added to both softmaxes as in the released code.

    Args:
        teacher, student: logits (…, C, h, w).
        temperature: divisor of both. The result is not multiplied by its square.
    """
    t = (teacher.float() / temperature).softmax(-3) + _EPSILON
    s = (student.float() / temperature).softmax(-3) + _EPSILON
    return (t * (t / s).log()).sum(-3).mean()


def paths_of(output: ClipOutput, paths: int) -> list[int]:
    """The path that ran each of the scored frames of a clip, given the student's number of paths."""
    scored = output.logits.shape[1]
    return [(output.state.path - scored + frame) % paths for frame in range(scored)]


def _check_classes(name: str, student: ModelConfig, theirs: Sequence[str] | int) -> None:
    if apart := class_difference(student.classes or student.num_classes, theirs):
        raise ConfigError(
            f"teacher {name}: {apart}",
            expected="the classes of the student, in the same order",
            do="choose a teacher that was trained on the classes of the data",
        )
