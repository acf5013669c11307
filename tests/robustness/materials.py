"""Good inputs of every kind, small, which the cases damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import torch
import yaml
from onnx import helper
from PIL import Image

from support.exports import thin_paths
from support.fabricate import small_values, write_camvid
from support.graphs import FLOAT, NCHW, tensor, write_graph
from support.small import SIZE, moving_frames, write_clip
from support.videos import make_clip
from tdseg.cli import main
from tdseg.export import export
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save

VIDEOS: dict[str, tuple[str, str]] = {
    "clip.mp4": ("libx264", "yuv420p"),
    "clip.mov": ("mjpeg", "yuvj420p"),
    "clip.mkv": ("libx264", "yuv420p"),
    "clip.webm": ("libvpx", "yuv420p"),
    "clip.avi": ("mpeg4", "yuv420p"),
    "clip.ts": ("libx264", "yuv420p"),
    "clip.flv": ("flv", "yuv420p"),
    "clip.mpg": ("mpeg2video", "yuv420p"),
    "clip.ogv": ("libvpx", "yuv420p"),
    "clip.gif": ("gif", "rgb8"),
    "clip.y4m": ("wrapped_avframe", "yuv420p"),
}
"""Containers, each with a codec that it holds."""
PICTURES = ("bmp", "gif", "jpg", "pgm", "png", "ppm", "tiff", "webp", "avif", "ico", "pcx", "tga", "eps")
NORMALISED = "range: 0..1\nmean: [0.485, 0.456, 0.406]\nstd: [0.229, 0.224, 0.225]\nclasses: [one, two, three, four]\n"


def make_materials(folder: Path) -> Path:
    """All of them, in a folder that may be there already."""
    if (folder / "whole").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _weights(folder)
    _videos(folder)
    _pictures(folder / "pictures")
    _masks(folder)
    _graphs(folder)
    _training(folder)
    (folder / "whole").touch()
    return folder


def _weights(folder: Path) -> None:
    torch.manual_seed(0)
    names = [f"class {index}" for index in range(11)]
    colors = [(20 * index, 255 - 20 * index, index) for index in range(11)]
    for name in ("lite0s", "td2-lite0s"):
        model = create_model(name, head_channels=16, size=SIZE, num_classes=11, classes=names, palette=colors)
        save(model, folder / f"{name}.safetensors", dtype=torch.float16)


def _videos(folder: Path) -> None:
    write_clip(folder / "short.mp4", 3)
    images = moving_frames(8)
    for name, (codec, form) in VIDEOS.items():
        sound = ("aac", 8000, 0.6) if name in ("clip.mp4", "clip.mkv") else None
        if codec in av.codecs_available and codec != "wrapped_avframe":
            make_clip(
                folder / name, images, codec=codec, pix_fmt=form, fps=10 if name != "clip.mpg" else 25, sound=sound
            )
    (folder / "playlist.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n")
    (folder / "list.txt").write_text("ffconcat version 1.0\nfile clip.mp4\nfile clip.mp4\n")


def _pictures(folder: Path) -> None:
    folder.mkdir()
    image = Image.fromarray(moving_frames(1)[0])
    for suffix in PICTURES:
        image.convert("L" if suffix == "pgm" else "RGB").save(folder / f"picture.{suffix}")
    image.quantize(16).save(folder / "indexed.png")
    Image.fromarray(np.arange(64 * 96, dtype=np.uint16).reshape(64, 96) * 9).save(folder / "deep.png")
    frames = [Image.fromarray(frame) for frame in moving_frames(4)]
    for name in ("moving.png", "moving.webp", "moving.tiff"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=100)


def _masks(folder: Path) -> None:
    command = ["segment", str(folder / "short.mp4"), "--model", str(folder / "td2-lite0s.safetensors"), "--quiet"]
    command += ["--runtime", "torch", "--write", "masks,video,rle,npz", "-o", str(folder / "result")]
    assert main(command) == 0


def _graphs(folder: Path) -> None:
    for target in ("onnx", "openvino"):
        export(thin_paths(), folder / f"exported-{target}", to=target)
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "weight"], ["scores"], pads=[1, 1, 1, 1])
    inputs, outputs = [tensor("image", FLOAT, NCHW)], [tensor("scores", FLOAT, (1, 4, *NCHW[2:]))]
    write_graph(folder / "net.onnx", [node], inputs, outputs, NORMALISED, weight=weight)
    assert onnx.load(folder / "net.onnx")


def _training(folder: Path) -> None:
    root = write_camvid(folder / "camvid")
    values = small_recipe(root)
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    assert main(["train", str(recipe), "--output", str(folder / "run"), "--threads", "1"]) == 0
    for split in ("train", "val"):
        place = folder / "own" / split
        shutil.copytree(root / "images" / split, place / "images")
        shutil.copytree(root / "labels" / split, place / "masks")
    (folder / "own" / "data.yaml").write_text(yaml.safe_dump(own_data()))
    (folder / "values.json").write_text(json.dumps(values))


def small_recipe(root: Path) -> dict[str, Any]:
    """Two steps of a per-frame model."""
    values = small_values(root) | {"model": "lite0s", "steps": 2, "batch": 2, "checkpoint_every": 1}
    values["overrides"] = {"head_channels": 8, "size": [64, 96]}
    return values


def own_data() -> dict[str, Any]:
    """The fields of a data.yaml."""
    classes = [{"name": f"class {index}", "color": [index, 2 * index, 3 * index]} for index in range(11)]
    splits = {name: [{"images": f"{name}/images", "masks": f"{name}/masks"}] for name in ("train", "val")}
    return {"classes": classes, "ignore": [255], "splits": splits}
