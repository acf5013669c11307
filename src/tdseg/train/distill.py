"""Grouped distillation: a frozen teacher adds its view of every pixel to the loss, labelled or not.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020, section 3.3.
"""

from __future__ import annotations

from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.models.tdnet import ClipOutput
from tdseg.train.recipe import Distillation
from tdseg.train.teacher import Teacher, resize_frames

_EPSILON = 1e-8


class Distiller:
    """The terms that a teacher adds to the loss of a student.

    It is no module: the teacher's weights are none of the student's, and none of its checkpoints.

    Args:
        config: weights and temperature.
        teacher: of `tdseg.train.teacher.load_teacher`.
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
        if config.sub and output.sub_logits is not None:
            group = full if answer.group is None else resize_frames(answer.group, size)
            terms["distill_sub"] = config.sub * divergence(group, output.sub_logits, config.temperature)
        return terms


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
