from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from small import moving_frames, small_model
from tdseg import labels, zoo
from tdseg.data.camvid import CamVid
from tdseg.evaluate import evaluate_camvid
from tdseg.models.tdnet import TDNet

NAMES = ("A_0", "A_1", "A_2", "B_0", "B_1")


def data_set(root: Path, masks: list[np.ndarray], images: list[np.ndarray]) -> CamVid:
    for kind, arrays in (("images", images), ("labels", masks)):
        (root / kind / "val").mkdir(parents=True)
        for name, array in zip(NAMES, arrays, strict=True):
            Image.fromarray(array).save(root / kind / "val" / f"{name}.png")
    return CamVid(root, "val")


def unshared() -> TDNet:
    """Two paths with weights of their own, that disagree."""
    torch.manual_seed(0)
    model = zoo.create_model("td2-lite0", shared_paths=False, d_v=16, head_channels=16, classes=labels.CAMVID_CLASSES)
    model.train()
    with torch.no_grad():
        for _ in range(8):
            for phase in range(2):
                frames = torch.from_numpy(np.stack(moving_frames(4))).permute(0, 3, 1, 2)[None]
                model.forward_clip(model.normalize(frames), model.initial_state(phase))
    return model.eval()


@torch.inference_mode()
def still_mask(model: TDNet, image: np.ndarray, path: int) -> np.ndarray:
    """What a path says of an image that has been shown for m frames."""
    m = model.config.paths
    x = model.normalize(torch.from_numpy(image).permute(2, 0, 1)[None])
    state = model.initial_state((path + 1) % m)
    for _ in range(m):
        logits, state = model.step(x, state)
    mask: np.ndarray = logits[0].argmax(0).byte().numpy()
    return mask


def test_still_scores_every_path(tmp_path: Path) -> None:
    model, images = unshared(), moving_frames(5)
    data = data_set(tmp_path, [still_mask(model, image, path=1) for image in images], images)
    report = evaluate_camvid(model, data, "still")
    assert report["per_path"][1] == 100
    assert report["per_path"][0] < 100
    assert report["miou"] == pytest.approx(np.nanmean(list(report["iou"].values())), abs=0.01)
    assert report["flip_rate"] is None
    assert report["frames"] == 5
    assert "still" in report["protocol"]


@torch.inference_mode()
def test_stream_starts_anew_at_every_sequence(tmp_path: Path) -> None:
    model, images = small_model(), moving_frames(5)
    masks = []
    for start, end in ((0, 3), (3, 5)):
        x = model.normalize(torch.from_numpy(np.stack(images[start:end])).permute(0, 3, 1, 2)[None])
        masks += list(model.forward_clip(x).logits[0].argmax(1).byte().numpy())
    data = data_set(tmp_path, masks, images)
    report = evaluate_camvid(model, data, "stream")
    assert report["miou"] == report["pixel_accuracy"] == 100
    pairs = [(0, 1), (1, 2), (3, 4)]  # not across the cut
    assert report["flip_rate"] == pytest.approx(np.mean([(masks[a] != masks[b]).mean() for a, b in pairs]), abs=1e-5)
