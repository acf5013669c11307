from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from support import pretrained
from support.hostile import Hostile
from support.pretrained import save_pretrained, transformers
from tdseg.errors import ConfigError, TdsegError, WeightsError
from tdseg.runtime.external.hugging_face import open_hugging_face
from tdseg.runtime.network import Execution
from tdseg.zoo.load import load


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segformer")
    save_pretrained(folder, pretrained.segformer)
    return folder


@pytest.fixture
def folder(segformer: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(segformer, tmp_path / "net"))


def edit(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def refused(folder: Path, kind: type[TdsegError], match: str, **execution: Any) -> None:
    with pytest.raises(kind, match=match) as caught:
        open_hugging_face(folder, "net", Execution(**execution))
    assert "net" in caught.value.got
    assert caught.value.expected
    assert caught.value.do


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "nothing-known"}, "model_type 'nothing-known'"),
        ({"model_type": ["segformer"]}, "model_type"),
        ({"model_type": None}, "no model_type"),
        ({"model_type": "bert"}, "of type bert"),
        ({"model_type": "resnet"}, "of type resnet"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map: code"),
        ({"backbone_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "auto_map: code"),
        ({"_attn_implementation": "someone/kernel"}, "_attn_implementation: code"),
        ({"backbone": "someone/net"}, "backbone: code or parts"),
        ({"hidden_sizes": "many"}, "net: "),
        ({"hidden_sizes": [16, 16, 16, 16]}, "tensors of its model are not in its file"),
        ({"num_encoder_blocks": 0}, "net: "),
    ],
)
def test_configurations(fields: dict[str, Any], said: str, folder: Path) -> None:
    edit(folder / "config.json", **fields)
    refused(folder, WeightsError, said)


def test_config_is_no_object(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    refused(folder, WeightsError, r"config\.json: is a list")
    (folder / "config.json").write_bytes(b"\xff\xfe")
    refused(folder, WeightsError, "is not JSON")


def spoil_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def only_backbone(folder: Path) -> None:
    config = transformers.SegformerConfig.from_pretrained(folder)
    transformers.SegformerModel(config).save_pretrained(folder)


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (adapter, "adapter_config.json, which loads another model"),
        (spoil_processor, "no configuration of its image processor"),
        (remove_weights, "model.safetensors"),
        (cut_weights, "net: "),
        (only_backbone, "tensors of its model are not in its file, such as decode_head"),
    ],
)
def test_files(spoil: Callable[[Path], None], said: str, folder: Path) -> None:
    spoil(folder)
    refused(folder, WeightsError, said)


def test_classifiers(folder: Path) -> None:
    config = transformers.SegformerConfig.from_pretrained(folder)
    transformers.SegformerForImageClassification(config).save_pretrained(folder)
    refused(folder, WeightsError, "choose a model that was trained to segment")


def test_nothing_is_executed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    remove_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile(victim)))
    refused(folder, WeightsError, "net: ")
    torch.save({"weight": Hostile(victim)}, folder / "pytorch_model.bin")
    refused(folder, WeightsError, "net: ")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("execution", "said"),
    [
        ({"runtime": "onnxruntime"}, "runtime onnxruntime"),
        ({"runtime": "openvino"}, "tdseg export"),
        ({"compile": True}, "in another form"),
        ({"winograd": True}, "in another form"),
        ({"cuda_graphs": True}, "in another form"),
        ({"device": "tpu"}, "tpu"),
        ({"device": "cuda:9"}, "cuda:9"),
        ({"autocast": "fp8"}, "fp8"),
    ],
)
def test_executions(execution: dict[str, Any], said: str, segformer: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        open_hugging_face(segformer, "net", Execution(**execution))


def test_without_transformers(segformer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdseg.system.installed", lambda package: package != "transformers")
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[transformers\]'"):
        load(segformer)


def test_sizes_that_the_model_does_not_run_at(tmp_path: Path) -> None:
    save_pretrained(tmp_path, pretrained.eomt, **pretrained.SQUARE)
    network = open_hugging_face(tmp_path, "net", Execution())
    with torch.inference_mode(), pytest.raises(ConfigError, match="net does not run"):
        network.scores(torch.zeros(1, 3, 96, 96))


def test_the_terminal_stays_clean(
    folder: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    from transformers.utils import logging

    capfd.readouterr()
    only_backbone(folder)
    for enabled in (True, False):
        bars = logging.enable_progress_bar if enabled else logging.disable_progress_bar
        bars()  # type: ignore[no-untyped-call]
        level = logging.get_verbosity()
        capfd.readouterr()
        with pytest.raises(WeightsError):
            load(folder)
        assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == (enabled, level)
        assert capfd.readouterr() == ("", "")
    logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    assert not recwarn.list
