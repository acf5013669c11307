"""A TDNet of a backbone from Hugging Face transformers: four SegFormer encoders that take turns.

pip install -e '.[transformers]'
python examples/transformers_backbone.py

Nothing is downloaded: the encoder is built from its configuration, untrained. With a connection,
`SegformerModel.from_pretrained("nvidia/mit-b0")` starts it from ImageNet weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerModel

import tdseg


class SegformerSubNetwork(tdseg.SubNetwork):
    """SegFormer's encoder, its four scales joined at 1/8 of the input."""

    channels = 128
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        config = SegformerConfig()
        self.encoder = SegformerModel(config)
        self.join = nn.Conv2d(sum(config.hidden_sizes), self.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), normalised -> z (B, 128, ceil(H/8), ceil(W/8))."""
        scales = self.encoder(x, output_hidden_states=True).hidden_states
        size = scales[1].shape[-2:]
        joined: Tensor = self.join(torch.cat([F.interpolate(scale, size, mode="bilinear") for scale in scales], dim=1))
        return joined


def main() -> None:
    """Build the network, and run five frames through it."""
    model = tdseg.distribute(SegformerSubNetwork, paths=4, num_classes=19, d_v=128, size=(256, 512))
    stream = tdseg.Stream(model)
    for frame in torch.randint(0, 256, (5, 256, 512, 3), dtype=torch.uint8).numpy():
        result = stream.step(frame)
        print(f"frame {result.index}: mask {result.mask.shape}, {result.latency_ms:.0f} ms")


if __name__ == "__main__":
    main()
