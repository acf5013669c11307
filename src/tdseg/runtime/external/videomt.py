"""VidEoMT, whose queries go from frame to frame, as a network with a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdseg.errors import ConfigError
from tdseg.models.propagation import TDNetState
from tdseg.runtime.external.segmenter import HuggingFaceNetwork, query_scores


class VideomtNetwork(HuggingFaceNetwork):
    """A VidEoMT of transformers. See `Network`.

    The library runs it over clips. There, a frame passes through the first layers by itself, then through the last ones
    together with Q queries, which leave them as what the clip has shown so far. Queries of the next frame are a linear
    map of these plus the learned ones: so these are all that is remembered, as a memory of one tensor (B, Q, D).
    """

    keeps_state = True

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork: of frames that are the first of their videos."""
        return self.advance(self.encode(images, 0), TDNetState())[0]

    def graph_module(self) -> nn.Module:
        """See PerFrameNetwork: a graph would need its state."""
        raise ConfigError(
            f"export of {self.config.name}, which has a state of its own",
            expected="a per-frame network",
            do="use it in torch, as it is",
        )

    def encode(self, images: Tensor, path: int) -> Tensor:
        """See Network: tokens (B, N, D) of the layers that see no query."""
        encoded: Tensor = self._run(self._alone, self._normalized(images))
        return encoded

    def advance(self, encoded: Tensor, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See Network."""
        memory = state.memory[0] if state.memory else None
        if memory is not None and len(memory) != len(encoded):
            raise ConfigError(
                f"{len(encoded)} frames, after {len(memory)}",
                expected="one of each video, at every step",
                do="begin with a new state",
            )
        masks, classes, queries = self._run(self._together, encoded, memory)
        return query_scores(classes, masks), TDNetState(0, (queries,))

    @property
    def _first(self) -> int:
        """Index of the first layer that sees queries."""
        return int(self.model.config.num_hidden_layers - self.model.config.num_blocks)

    def _alone(self, pixels: Tensor) -> Tensor:
        tokens: Tensor = self.model.embeddings(pixels)
        for layer in self.model.layers[: self._first]:
            tokens = layer(tokens)
        return tokens

    def _together(self, tokens: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Of the queries, masks (B, Q, h, w), classes (B, Q, C + 1), and what they are after the last layer."""
        queries = self.model.query.weight[None].expand(len(tokens), -1, -1)
        if memory is not None:
            queries = queries + self.model.query_updater(memory)
        tokens = torch.cat((queries, tokens), 1)
        for layer in self.model.layers[self._first :]:
            tokens = layer(tokens)
        masks, classes = self.model.predict(self.model.layernorm(tokens))
        return masks, classes, tokens[:, : queries.shape[1]]
