from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support import pretrained
from support.pretrained import SQUARE, blobs, save_pretrained
from tdseg.errors import ConfigError
from tdseg.masks.classes import CAMVID_CLASSES
from tdseg.runtime.external.hugging_face import open_hugging_face
from tdseg.runtime.network import Execution
from tdseg.train.recipe import Distillation
from tdseg.train.teacher import load_teacher
from tdseg.zoo.catalog import model_config

STUDENT = model_config("td4-lite0", classes=CAMVID_CLASSES)


def test_a_universal_model_of_one_size_teaches(tmp_path: Path) -> None:
    save_pretrained(tmp_path, pretrained.eomt, classes=CAMVID_CLASSES, **SQUARE)
    teacher = load_teacher(Distillation(teacher=str(tmp_path)), STUDENT)
    torch.manual_seed(0)
    frames = blobs(2, (64, 96)).float()
    answer = teacher.answer(frames[None], [0, 1])
    assert answer.full.shape == (1, 2, 11, 8, 8)
    network = open_hugging_face(tmp_path, "net", Execution())
    small = torch.nn.functional.interpolate(frames, (64, 64), mode="bilinear", align_corners=True)
    torch.testing.assert_close(answer.full[0], network.scores(small))
    shares = answer.full.softmax(2).sum(2)
    torch.testing.assert_close(shares, torch.ones_like(shares))
    averaged = load_teacher(Distillation(teacher=str(tmp_path), scales=(0.5, 1.0), flip=True), STUDENT)
    assert averaged.answer(frames[None], [0, 1]).full.shape == answer.full.shape


def test_classes_of_the_student(tmp_path: Path) -> None:
    save_pretrained(tmp_path, pretrained.mask2former)
    with pytest.raises(ConfigError, match="5 classes, not 11"):
        load_teacher(Distillation(teacher=str(tmp_path)), STUDENT)
