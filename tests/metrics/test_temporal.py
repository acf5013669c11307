from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist
from torch.multiprocessing import Manager
from torch.multiprocessing.spawn import start_processes

from support.places import CAMVID
from tdseg.data.camvid import CamVid
from tdseg.errors import ConfigError
from tdseg.metrics.consistency import TemporalConsistency
from tdseg.metrics.flow import Flows, make_flow
from tdseg.metrics.temporal import Steadiness


def measure(videos: range) -> Steadiness:
    """Figures of some random videos of different lengths, with labels and a made-up motion."""
    steadiness = Steadiness(fps=10, phases=3)
    for video in videos:
        rng = np.random.default_rng(video)
        steadiness.start()
        label = rng.integers(0, 4, (12, 16)).astype(np.uint8)
        for t in range(18 + video):
            flow = make_flow(rng.normal(0, 1, (12, 16, 2)).astype(np.float32))
            label = np.where(rng.uniform(size=label.shape) < 0.05, 1, label).astype(np.uint8)
            mask = np.where(rng.uniform(size=label.shape) < 0.03, 2, label).astype(np.uint8)
            steadiness.update(
                mask, label=label, flow={"dis": flow, "farneback": flow._replace(backward=-flow.backward)} if t else {}
            )
    return steadiness


def test_figures_that_the_input_allows() -> None:
    everything = measure(range(1)).compute()
    assert all(value is not None for value in everything.values())
    assert everything["flip_rate"] == pytest.approx(np.mean(everything["flip_rate_by_phase"]), abs=0.01)
    masks_only = Steadiness()
    for _ in range(20):
        masks_only.update(np.zeros((4, 4), np.uint8))
    assert masks_only.compute() == {
        "flip_rate": 0,
        "flip_rate_by_phase": [0],
        **dict.fromkeys(("excess_flip_rate", "vc8", "vc16")),
        **dict.fromkeys(("flow_flip_rate", "tc", "flow_flip_rate_farneback", "tc_farneback")),
    }
    with pytest.raises(ConfigError, match="flow 'raft'"):
        masks_only.update(np.zeros((4, 4), np.uint8), flow={"raft": None})
    assert everything["tc"] != everything["tc_farneback"]


def worker(rank: int, world: int, folder: str, videos: int, results: Any) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    results[rank] = measure(range(rank, videos, world)).compute()
    dist.destroy_process_group()


@pytest.mark.slow
def test_four_processes_give_the_figures_of_one(tmp_path: Path) -> None:
    world, videos = 4, 7
    with Manager() as manager:
        results = manager.dict()
        start_processes(worker, (world, str(tmp_path), videos, results), nprocs=world)  # type: ignore[no-untyped-call]
        found = [results[rank] for rank in range(world)]
    expected = measure(range(videos)).compute()
    for figures in found:
        assert figures.keys() == expected.keys()
        for name, value in expected.items():
            assert figures[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.slow
@pytest.mark.skipif(not CAMVID.exists(), reason="needs CamVid in data/camvid")
def test_ground_truth_of_camvid() -> None:
    """0.89 with occlusions kept, 15 Hz; leaving them out changes little, and the flow hardly more."""
    data, flows = CamVid(CAMVID, "val"), Flows()
    kept, steadiness = TemporalConsistency(), Steadiness(fps=data.fps)
    for i in range(len(data)):
        clip = data[i]
        motion = flows.step(clip.frames[0].permute(1, 2, 0).contiguous().numpy())
        steadiness.update(clip.labels[0], flow=motion)
        dis = motion["dis"]
        kept.update(clip.labels[0], dis and dis._replace(visible=np.ones_like(dis.visible)))
    figures = steadiness.compute()
    assert kept.compute() == pytest.approx(89.0, abs=0.3)
    assert figures["tc"] == pytest.approx(89.19, abs=0.1)
    assert figures["tc_farneback"] == pytest.approx(89.00, abs=0.1)
    assert figures["flow_flip_rate"] == pytest.approx(0.381, abs=0.002)
    assert figures["flow_flip_rate_farneback"] == pytest.approx(0.386, abs=0.002)
