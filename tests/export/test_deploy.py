"""The C++ example, compiled against the OpenVINO of the pip package, sees what a Stream sees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from support.places import ROOT
from support.small import SIZE, moving_frames
from tdseg.export import export
from tdseg.inference.stream import Stream
from tdseg.zoo.catalog import create_model

EXAMPLE = ROOT / "examples" / "deploy.cpp"


@pytest.mark.slow
def test_cpp(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the extra 'export'")
    compiler = shutil.which("c++")
    home = Path(openvino.__file__).parent
    libraries = [*home.glob("libs/libopenvino.so*"), *home.glob("libs/libtbb.so*")]
    if compiler is None or not (home / "include").is_dir() or not libraries:
        pytest.skip("no C++ compiler, or an openvino without headers")
    torch.manual_seed(0)
    fields = {"propagation": "attention", "weight_sets": None, "d_k": 16, "d_v": 16}
    model = create_model("td2-lite0", size=SIZE, head_channels=16, **fields)
    export(model, tmp_path / "exported", to="openvino")
    flags = ["-std=c++17", f"-I{home / 'include'}", *map(str, libraries), f"-Wl,-rpath,{home / 'libs'}"]
    subprocess.run([compiler, str(EXAMPLE), "-o", str(tmp_path / "deploy"), *flags], check=True)
    frames = moving_frames(7)
    (tmp_path / "frames.rgb").write_bytes(np.stack(frames).tobytes())
    names = ("deploy", "exported/model.xml", "frames.rgb", "masks.bin")
    subprocess.run([str(tmp_path / name) for name in names], check=True)
    stream = Stream(model)
    expected = torch.cat([stream.step(frame).logits for frame in frames]).argmax(1).numpy()
    found = np.fromfile(tmp_path / "masks.bin", np.uint8).reshape(expected.shape)
    assert np.mean(found == expected) > 0.999
