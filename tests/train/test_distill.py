from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.small import moving_frames
from tdseg.config import ModelConfig
from tdseg.errors import ConfigError, WeightsError
from tdseg.masks.classes import CAMVID_CLASSES
from tdseg.models.head import Head
from tdseg.models.layers import resize
from tdseg.models.subnets.pspnet import PSPSubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.train.distill import Distiller, divergence, paths_of
from tdseg.train.recipe import Distillation
from tdseg.train.teacher import Answer, AveragedTeacher, PerFrameTeacher, group_masks, groups_of, load_teacher
from tdseg.zoo.catalog import create_model, model_config
from tdseg.zoo.checkpoint import save
from tdseg.zoo.load import load

SIZE = (64, 96)
STUDENT = model_config("td4-lite0", d_v=16, head_channels=16, classes=CAMVID_CLASSES, size=SIZE)


def random_frames(count: int = 4, batch: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    """Pictures of soft blobs, none like another: noise looks all the same to a network. (B, T, 3, h, w) in 0..255."""
    blobs = torch.rand(batch * count, 3, size[0] // 16, size[1] // 16, generator=torch.Generator().manual_seed(0))
    return resize(blobs * 255, size).view(batch, count, 3, *size)


def learner(config: ModelConfig, weights: dict[str, Tensor] | None = None) -> TDNet:
    """A student in training that computes as in inference: batch norms stay as they are, nothing is dropped."""
    model: TDNet = TDNet(config, dropout=0)
    if weights:
        model.load_state_dict(weights)
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def untrained(name: str) -> TDNet:
    torch.manual_seed(0)
    return create_model(name)


def test_divergence_is_the_released_one() -> None:
    """KL(t ‖ s) that the official code gave for these two predictions."""
    rng = np.random.default_rng(1)
    s, t = (torch.from_numpy(rng.normal(0, 2, (2, 19, 48, 64)).astype(np.float32)) for _ in "st")
    assert divergence(t, s).item() == pytest.approx(2.8254149, rel=1e-5)
    assert divergence(s, s) == 0
    torch.testing.assert_close(divergence(t, s, temperature=2), divergence(t / 2, s / 2))


def test_groups_of_the_paths() -> None:
    """The released code gives the paths of td4-psp18, of halves 0, 1, 0, 1, the teacher's quarters 1, 3, 2, 4."""
    assert groups_of(model_config("td4-psp18")) == (0, 2, 1, 3)
    assert groups_of(model_config("td2-psp50")) == (0, 1)
    assert groups_of(model_config("td4-bise18")) == (0, 1, 2, 3)
    assert groups_of(model_config("td4-psp18", groups=4)) == (0, 1, 2, 3)
    assert groups_of(model_config("psp18")) is None
    assert groups_of(model_config("td4-lite0")) is None  # its paths have the same weights
    assert groups_of(model_config("td4-lite0", weight_sets=None)) == (0, 1, 2, 3)
    with pytest.raises(ConfigError, match="paths=3 and groups=2"):
        groups_of(model_config("td3-psp18"))


@torch.inference_mode()
def test_a_teachers_group_is_what_a_students_path_keeps() -> None:
    """Group i of m of the whole pyramid holds the features of the sub-network that keeps the i-th of m parts."""
    whole = PSPSubNetwork(18).eval()
    x = torch.randn(1, 3, *SIZE)
    masks = group_masks("psp18", 1024, 4)
    for group in range(4):
        part = PSPSubNetwork(18, group=group, groups=4).eval()
        rows = slice(group * 32, group * 32 + 32)
        state = whole.state_dict()
        levels = {k: v[rows] if v.ndim else v for k, v in state.items() if k.startswith("levels")}
        part.load_state_dict({**state, **levels})
        torch.testing.assert_close(whole(x).z[:, masks[group] > 0], part(x).z)
    assert masks.sum(0).eq(1).all()


@torch.inference_mode()
@pytest.mark.parametrize("name", ["psp18", "bise18"])
def test_groups_add_up_to_the_unsplit_network(name: str) -> None:
    """The 3x3 convolution on groups, g_i, sums to the convolution on all; scaled, a group counts m times."""
    model = untrained(name)
    head = model.paths[0].head
    assert isinstance(head, Head)
    seen: list[Tensor] = []
    conv = head.hidden.conv
    assert isinstance(conv, nn.Conv2d)
    conv.register_forward_hook(lambda _module, _input, output: seen.append(output))
    frames = random_frames(batch=1)[:, :1].expand(1, 4, 3, *SIZE)
    for scale in (1, 4):
        answer = PerFrameTeacher(model, (0, 2, 1, 3), scaled=scale > 1).answer(frames, range(4))
        whole, groups = seen[-2:]
        torch.testing.assert_close(groups.sum(0), scale * whole[0], rtol=1e-4, atol=1e-4)
        assert answer.group is not None
        assert answer.group.shape == answer.full.shape
        assert not torch.allclose(answer.group[:, 0], answer.group[:, 2])


@pytest.mark.parametrize("name", ["psp18", "bise18", "fa18", "lite0"])
def test_per_frame_teachers_answer_as_the_model_does(name: str) -> None:
    model = untrained(name)
    frames = random_frames(3, 1, (64, 128))
    answer = PerFrameTeacher(model, (0, 1)).answer(frames, [1, 0])
    with torch.inference_mode():
        expected, _ = model.advance(model.encode(model.normalize(frames[0, 1:]), 0), model.initial_state())
    torch.testing.assert_close(answer.full[0], expected)
    assert answer.group is not None
    assert answer.group.isfinite().all()


def test_paths_of_scored_frames() -> None:
    model = learner(STUDENT)
    frames = model.normalize(random_frames(3, 1))
    for phase in range(4):
        state = model.initial_state(phase)
        expected = [(phase + t) % 4 for t in range(3)]
        assert paths_of(model.forward_clip(frames, state, "all"), 4) == expected
        assert paths_of(model.forward_clip(frames, state, "last"), 4) == expected[-1:]


@pytest.mark.parametrize("score", ["all", "last"])
@pytest.mark.parametrize("phase", [0, 3])
def test_the_teacher_sees_what_the_student_sees(phase: int, score: Literal["all", "last"]) -> None:
    """A student with its teacher's weights is at no distance from it: the same pixels, normalised alike, in order."""
    config, teacher = Distillation(teacher="td4-lite0-camvid"), load("td4-lite0-camvid")
    student = learner(teacher.config, teacher.state_dict())
    videos = [np.stack(moving_frames(4, seed=seed)) for seed in (0, 1)]  # neighbours, which the window brings together
    frames = torch.from_numpy(np.stack(videos)).permute(0, 1, 4, 2, 3).float()
    distiller = Distiller(config, load_teacher(config, student.config), student.config)
    output = student.forward_clip(student.normalize(frames), student.initial_state(phase), score)
    terms = distiller.losses(output, frames)
    assert terms["distill"] < 5e-6
    assert terms["distill_sub"] > 1e-5  # the sub-feature alone is not the whole
    for other in (frames.flip(0), frames.flip(1), frames.flip(-1), frames / 255):
        assert distiller.losses(output, other)["distill"] > 1e-3


def test_a_per_frame_student_at_no_distance_from_its_twin() -> None:
    config, teacher = Distillation(teacher="lite0-camvid"), load("lite0-camvid")
    student, frames = learner(teacher.config, teacher.state_dict()), random_frames()
    output = student.forward_clip(student.normalize(frames), score="last")
    terms = Distiller(config, load_teacher(config, student.config), student.config).losses(output, frames)
    assert terms.keys() == {"distill"}  # there is no propagation to leave out
    assert terms["distill"] < 1e-5


class Spoken:
    """A teacher that says what it is told."""

    def __init__(self, answer: Answer) -> None:
        self.given = answer

    def answer(self, frames: Tensor, paths: Any) -> Answer:
        return self.given


def test_terms_and_their_weights() -> None:
    """Full answers pull on the whole prediction, a group's on the sub-feature; without groups, full ones do."""
    student = learner(STUDENT)
    output = student.forward_clip(student.normalize(random_frames()), score="last")
    assert output.head_logits is not None
    assert output.sub_logits is not None
    full, group = (torch.randn(2, 1, 11, 8, 12) for _ in range(2))
    config = Distillation(teacher="any", full=2.0, sub=0.25, temperature=3.0)

    def terms(answer: Answer, config: Distillation) -> dict[str, Tensor]:
        return Distiller(config, Spoken(answer), student.config).losses(output, random_frames())

    def distance(answer: Tensor, logits: Tensor) -> Tensor:
        return divergence(resize(answer[:, 0], (16, 24))[:, None], logits, 3.0)

    found = terms(Answer(full, group), config)
    torch.testing.assert_close(found["distill"], 2 * distance(full, output.head_logits))
    torch.testing.assert_close(found["distill_sub"], 0.25 * distance(group, output.sub_logits))
    torch.testing.assert_close(terms(Answer(full), config)["distill_sub"], 0.25 * distance(full, output.sub_logits))
    assert terms(Answer(full, group), config.model_copy(update={"sub": 0.0})).keys() == {"distill"}


def test_each_path_has_its_own_group() -> None:
    config = Distillation(teacher="lite0-camvid")
    student = create_model("td4-lite0", num_classes=11, weight_sets=None).config
    frames = random_frames(1, 1)
    answers = [load_teacher(config, student).answer(frames, [path]) for path in range(4)]
    groups = [answer.group for answer in answers if answer.group is not None]
    assert len(groups) == 4
    assert not any(torch.allclose(a, b) for i, a in enumerate(groups) for b in groups[:i])
    assert all(torch.equal(answer.full, answers[0].full) for answer in answers)
    assert load_teacher(config.model_copy(update={"grouped": False}), student).answer(frames, [0]).group is None


def test_a_teacher_is_frozen_and_no_part_of_the_student() -> None:
    config = Distillation(teacher="lite0-camvid")
    student = learner(STUDENT)
    teacher = load_teacher(config, student.config)
    assert isinstance(teacher, PerFrameTeacher)
    before = {key: value.clone() for key, value in teacher.model.state_dict().items()}
    keys = student.state_dict().keys()
    frames = random_frames()
    output = student.forward_clip(student.normalize(frames))
    torch.stack(list(Distiller(config, teacher, student.config).losses(output, frames).values())).sum().backward()  # type: ignore[no-untyped-call]
    assert any(x.grad is not None and x.grad.any() for x in student.parameters())
    assert all(x.grad is None and not x.requires_grad for x in teacher.model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in teacher.model.state_dict().items())
    assert student.state_dict().keys() == keys


def test_averaged_answers() -> None:
    """Mirrored frames have the mirrored answer, groups too; one view is the teacher itself; at any zoom, it adds up."""
    frames, paths = random_frames(2, 1), [1, 2]
    plain = PerFrameTeacher(load("lite0-camvid"), (0, 1, 2, 3))
    once = AveragedTeacher(plain, (1.0,), flip=False).answer(frames, paths)
    torch.testing.assert_close(once.full.softmax(2), plain.answer(frames, paths).full.softmax(2))
    both = AveragedTeacher(plain, (1.5, 1.0), flip=True)
    for found, mirrored in zip(both.answer(frames, paths), both.answer(frames.flip(-1), paths), strict=True):
        assert found is not None
        assert mirrored is not None
        torch.testing.assert_close(found, mirrored.flip(-1), atol=1e-4, rtol=1e-4)
        assert found.shape == (1, 2, 11, 24, 36)  # of the larger zoom
        torch.testing.assert_close(found.exp().sum(2), torch.ones(1, 2, 24, 36))


def test_teachers_that_do_not_fit(tmp_path: Path) -> None:
    config = Distillation(teacher="lite0-camvid")
    with pytest.raises(ConfigError, match="lite0-camvid: 11 classes, not 19"):
        load_teacher(config, model_config("td4-psp18"))
    others = ("void", *CAMVID_CLASSES[1:])
    with pytest.raises(ConfigError, match="class 0 is Sky, not void"):
        load_teacher(config, model_config("td4-lite0", classes=others))
    with pytest.raises(ConfigError, match="3 equal parts"):
        load_teacher(config, model_config("td3-lite0", num_classes=11, weight_sets=None))
    with pytest.raises(ConfigError, match="'per-frame'"):
        load_teacher(Distillation(teacher="per-frame"), model_config("td4-lite0"))
    save(load("lite0-camvid"), tmp_path / "first.safetensors")
    stage = load_teacher(Distillation(teacher="per-frame"), STUDENT, per_frame=tmp_path / "first.safetensors")
    assert isinstance(stage, PerFrameTeacher)


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    torch.manual_seed(0)
    names = dict(enumerate(CAMVID_CLASSES))
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        num_attention_heads=[1] * 4,
        decoder_hidden_size=16,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    folder = tmp_path_factory.mktemp("segformer")
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"do_normalize": true, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}'
    )
    return folder


def test_teachers_of_hugging_face(segformer: Path, tmp_path: Path) -> None:
    import transformers

    frames = random_frames(2, 1)
    config, student = Distillation(teacher=str(segformer)), STUDENT
    answer = load_teacher(config, student).answer(frames, [3])
    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(segformer).eval()
    mean, std = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.2, 0.1]])[..., None, None]
    x = (frames[0, 1:] / 255 - mean) / std
    with torch.inference_mode():
        torch.testing.assert_close(answer.full[0], model(pixel_values=x).logits, rtol=1e-4, atol=1e-5)
    assert answer.group is None
    assert answer.full.shape == (1, 1, 11, 16, 24)

    with pytest.raises(ConfigError, match="11 classes, not 19"):
        load_teacher(config, model_config("td4-psp18"))
    model.segformer.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text((segformer / "preprocessor_config.json").read_text())
    with pytest.raises(WeightsError, match="not in its file"):
        load_teacher(Distillation(teacher=str(tmp_path)), student)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="empty"):
        load_teacher(Distillation(teacher=str(tmp_path / "empty")), student)
