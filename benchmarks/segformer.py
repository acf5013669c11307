"""A network that tdseg did not make: a SegFormer of the library transformers, trained on CamVid from nothing.

python benchmarks/segformer.py --root CAMVID --output FOLDER [--minutes 60] [--threads 1]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes). The network is the smallest
SegFormer (B0, 3.7 M parameters) with random weights; it is saved as `save_pretrained` saves it, with a
preprocessor_config.json, and is then used as any network of others: docs/any-network.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from tdseg.data.source import Source, open_source
from tdseg.data.transforms import Augmentation, Augmenter

SIZE = (360, 480)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 8
PEAK = 1e-3


def main() -> None:
    """Train for so long, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    data = open_source(Source(data="camvid", root=arguments.root, split="train"))
    clips = list(data)
    names = dict(enumerate(data.classes))
    config = SegformerConfig(id2label=names, label2id={name: index for index, name in names.items()})
    model = SegformerForSemanticSegmentation(config).train()
    augment = Augmenter(Augmentation(crop=(256, 352)), 1, SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01)
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (MEAN, STD))
    draws, begun, step, progress = Generator().manual_seed(0), time.monotonic(), 0, 0.0
    order: list[int] = []
    while progress < 1:
        progress = (time.monotonic() - begun) / (60 * arguments.minutes)
        rate = PEAK * min(1, (step + 1) / 200) * max(0.0, 1 - progress) ** 0.9
        for group in optimizer.param_groups:
            group["lr"] = rate
        while len(order) < BATCH:
            order += torch.randperm(len(clips), generator=draws).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        generators = [Generator().manual_seed(step * BATCH + index) for index in range(BATCH)]
        batch = augment([clips[index] for index in chosen], generators)
        logits = model(pixel_values=(batch.frames[:, 0] - mean) / std).logits
        logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        labels = F.interpolate(batch.labels[:, :1].float(), logits.shape[-2:], mode="nearest-exact")[:, 0].long()
        loss = F.cross_entropy(logits, labels, ignore_index=255)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {progress:.0%}, loss {loss.item():.3f}", flush=True)
            save(model, arguments.output)
    save(model, arguments.output)


def save(model: SegformerForSemanticSegmentation, folder: Path) -> None:
    """As the library saves a model and its image processor."""
    model.save_pretrained(folder)
    processor = {
        "image_processor_type": "SegformerImageProcessor",
        "do_resize": True,
        "size": {"height": SIZE[0], "width": SIZE[1]},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
