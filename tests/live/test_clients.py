"""The clients among the examples."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.places import ROOT
from support.serving import serving
from support.small import write_clip

ROBOT = ROOT / "examples" / "robot_client.py"


def run_robot(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROBOT), *arguments, "--address", f"http://127.0.0.1:{port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("token", [None, "one-of-the-tests"])
def test_robot_client(tmp_path: Path, token: str | None) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 10)
    with serving(token=token) as served:
        done = run_robot(served.port, str(clip), *(["--token", token] if token else []))
        assert done.returncode == 0, done.stderr
        assert len(served.sessions) == 0  # it ends what it opened
    lines = done.stdout.splitlines()
    assert lines
    assert all(re.fullmatch(r" +\d\.\d\d s  age +\d+ ms(  \w+ \d+%)+", line) for line in lines)
    assert lines[-1].split()[0] == "0.90"


def test_robot_client_says_what_the_server_says(tmp_path: Path) -> None:
    with serving(token="another") as served:
        done = run_robot(served.port, "clip.mp4", "--token", "wrong")
    assert done.returncode == 1
    assert "no token, or a wrong one" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_images_of_ros(encoding: str) -> None:
    """What the node makes of a message, and of a picture; rclpy is not needed for it."""
    node = runpy.run_path(str(ROOT / "examples" / "ros2_node.py"))
    depth = node["DEPTH"][encoding]
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, depth), np.uint8)
    padded = np.pad(pixels.reshape(4, -1), ((0, 0), (0, 5)))
    message = SimpleNamespace(encoding=encoding, height=4, width=6, step=padded.shape[1], data=padded.tobytes())
    rgb = node["to_rgb"](message)
    expected = {"mono8": pixels.repeat(3, 2), "bgr8": pixels[..., ::-1], "bgra8": pixels[..., 2::-1]}
    assert (rgb == expected.get(encoding, pixels[..., :3])).all()
    back = node["fill"](SimpleNamespace(), rgb, "rgb8", "header")
    assert (back.height, back.width, back.step, back.header) == (4, 6, 18, "header")
    assert (node["to_rgb"](back) == rgb).all()
    with pytest.raises(ValueError, match="yuv422"):
        node["to_rgb"](SimpleNamespace(encoding="yuv422"))
