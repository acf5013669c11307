from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import tdseg
from support.hostile import Hostile
from tdseg.errors import ConfigError, OutputError, WeightsError
from tdseg.masks import classes
from tdseg.models.tdnet import TDNet
from tdseg.zoo import catalog
from tdseg.zoo.checkpoint import save


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save(TDNet(catalog.model_config("lite0"), aux=True), path, about={"note": "test"})
    return path


def test_round_trip(saved: Path) -> None:
    model = tdseg.load(saved)
    assert model.config == catalog.model_config("lite0")
    assert not model.training
    assert next(model.parameters()).dtype == torch.float32
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("name", sorted(catalog.PACKAGED))
def test_packaged_weights(name: str) -> None:
    entry = catalog.PACKAGED[name]
    assert entry.path.stat().st_size < 32_000_000
    assert entry.path.with_suffix(".md").is_file()
    model = tdseg.load(name)
    assert model.config.classes == classes.CAMVID_CLASSES
    assert sum(p.numel() for p in model.parameters()) < 16_000_000
    assert all(p.isfinite().all() for p in model.parameters())


def test_pickles_are_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    victim = tmp_path / "executed"
    torch.save({"model": Hostile(victim)}, "new.pth")
    Path("old.pkl").write_bytes(pickle.dumps(Hostile(victim)))
    Path("renamed.safetensors").write_bytes(Path("new.pth").read_bytes())
    for name in ("new.pth", "old.pkl", "renamed.safetensors"):
        with pytest.raises(WeightsError, match="pickled checkpoint, not opened"):
            tdseg.load(name)
    assert not victim.exists()


def test_damaged_file(saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    for name, content in (("cut", data[: len(data) // 2]), ("empty", b""), ("noise", b"\x01" * 5000)):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="not a readable safetensors file"):
            tdseg.load(path)


def test_weights_of_another_model(saved: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    key = "paths.0.head.classify.weight"
    other = tmp_path / "other.safetensors"
    for change in ({key: tensors[key][:-1]}, {"stray": torch.zeros(1)}):
        save_file({**tensors, **change}, other, metadata)
        with pytest.raises(WeightsError, match=r"another model.*(classify|stray)"):
            tdseg.load(other)
    del tensors[key]
    save_file(tensors, other, metadata)
    with pytest.raises(WeightsError, match=f"{key} missing"):
        tdseg.load(other)
    save_file(tensors, other, {})
    with pytest.raises(WeightsError, match="without a configuration"):
        tdseg.load(other)


@pytest.mark.parametrize("length", [19280, 640 + 65536])
def test_headers_that_look_like_pickles(saved: Path, tmp_path: Path, length: int) -> None:
    """A file begins with the length of its header, whose first two bytes may be those of any other format."""
    data = saved.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].rstrip()
    length += 65536 * max(0, -(-(len(header) - length) // 65536))
    padded = tmp_path / "padded.safetensors"
    padded.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + data[8 + size :])
    assert tdseg.load(padded).config.name == "lite0"


def test_sizes_that_no_memory_holds(tmp_path: Path) -> None:
    config = catalog.model_config("td2-psp18", norm="layer", norm_size=(16384, 16384))
    save_file(
        {"x": torch.zeros(1)}, tmp_path / "big.safetensors", {"tdseg": json.dumps({"config": config.model_dump()})}
    )
    with pytest.raises(WeightsError, match="another model"):
        tdseg.load(tmp_path / "big.safetensors")


def test_fused_models_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="before calling fuse"):
        tdseg.save(catalog.create_model("lite0").fuse(), tmp_path / "fused.safetensors")
    with pytest.raises(OutputError, match="cannot write"):
        tdseg.save(catalog.create_model("lite0"), tmp_path / "missing" / "x.safetensors")


@pytest.mark.parametrize("metadata", ["{", "{}", "[]", '{"config": {"name": "x"}}'])
def test_damaged_configuration(tmp_path: Path, metadata: str) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", {"tdseg": metadata})
    with pytest.raises(WeightsError, match="without a configuration"):
        tdseg.load(tmp_path / "other.safetensors")


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ConfigError, match="td4-lite0"):
        tdseg.create_model("td4-lite")
    with pytest.raises(ConfigError, match="unknown model"):
        tdseg.load("td4-lite0-camvd")
    with pytest.raises(WeightsError, match="check the path"):
        tdseg.load("missing.safetensors")


def test_contradicting_options() -> None:
    with pytest.raises(ConfigError, match="norm_size"):
        tdseg.create_model("lite0", norm="layer")
    with pytest.raises(ConfigError, match="colour"):
        tdseg.create_model("lite0", colour="red")
    with pytest.raises(ConfigError, match="classes has 1"):
        tdseg.create_model("lite0", classes=("road",))


@pytest.mark.parametrize(
    ("value", "said"), [(float("nan"), "not finite"), (float("inf"), "not finite"), (-1.0, "running_var below 0")]
)
def test_weights_that_are_no_numbers(saved: Path, tmp_path: Path, value: float, said: str) -> None:
    """Masks would be of one class, in silence."""
    tensors, metadata = stored(saved)
    name = next(key for key in tensors if key.endswith("running_var"))
    tensors[name][0] = value
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    with pytest.raises(WeightsError, match=said) as raised:
        tdseg.load(tmp_path / "x.safetensors")
    assert name in raised.value.got


def test_whole_numbers_for_weights(saved: Path, tmp_path: Path) -> None:
    tensors, metadata = stored(saved)
    tensors["paths.0.head.classify.weight"] = tensors["paths.0.head.classify.weight"].to(torch.int64)
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    with pytest.raises(WeightsError, match=r"classify\.weight torch\.int64 instead of torch\.float32"):
        tdseg.load(tmp_path / "x.safetensors")


def test_a_palette_of_no_colours(saved: Path, tmp_path: Path) -> None:
    tensors, metadata = stored(saved)
    about = json.loads(metadata["tdseg"])
    for color in ([999, 0, 0], [0, -1, 0]):
        about["config"]["palette"] = [color] * about["config"]["num_classes"]
        save_file(tensors, tmp_path / "x.safetensors", {"tdseg": json.dumps(about)})
        with pytest.raises(WeightsError, match="without a configuration"):
            tdseg.load(tmp_path / "x.safetensors")


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    model = catalog.create_model("lite0s", head_channels=16)
    weight = model.path(0).head.classify.weight
    with torch.no_grad():
        weight[0] = 1e6  # which half precision does not have
    tdseg.save(model, tmp_path / "x.safetensors", dtype=torch.float16)
    assert torch.equal(tdseg.load(tmp_path / "x.safetensors").path(0).head.classify.weight, weight)
    with torch.no_grad():
        weight[0] = float("nan")
    with pytest.raises(WeightsError, match=r"classify\.weight not finite"):
        tdseg.save(model, tmp_path / "y.safetensors")
    assert not (tmp_path / "y.safetensors").exists()


def test_files_have_the_users_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        tdseg.save(catalog.create_model("lite0s", head_channels=16), tmp_path / "x.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o640


def stored(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a file, and what is written beside them."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
