"""One short video in every container that networks bring, large enough to break off within."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from onnx import helper

from robustness.materials import NORMALISED
from support.graphs import FLOAT, NCHW, tensor, write_graph
from support.small import moving_frames
from support.videos import make_clip

COUNT = 24
FPS = 5
X264 = {"crf": "12", "g": "8"}
FINE = {"b": "2000000"}
CLIPS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "fast.mp4": ("libx264", X264, {"movflags": "faststart"}),
    "late.mp4": ("libx264", X264, {}),
    "parts.mp4": ("libx264", X264, {"movflags": "frag_keyframe+empty_moov"}),
    "clip.ts": ("libx264", X264, {}),
    "clip.mkv": ("libx264", X264, {}),
    "clip.webm": ("libvpx", FINE, {}),
    "clip.avi": ("mpeg4", FINE, {}),
    "clip.flv": ("flv", FINE, {}),
    "clip.ogv": ("libvpx", FINE, {}),
    "clip.ivf": ("libvpx", FINE, {}),
    "clip.nut": ("libx264", X264, {}),
}
"""Codec, its options, and those of the container."""


def make_clips(folder: Path) -> Path:
    """All of them, with a small model, in a folder that may be there already."""
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, (codec, options, muxer) in CLIPS.items():
            make_clip(folder / name, _frames(), codec=codec, fps=FPS, options=options, muxer=muxer)
        sound = ("mp3", 48000, COUNT / FPS)
        make_clip(folder / "sound.mkv", _frames(), fps=FPS, options=X264, sound=sound)
        _make_pieces(folder)
        _make_pictures(folder)
        _make_network(folder / "network.onnx")
        (folder / "whole").touch()
    return folder


def _make_network(path: Path) -> None:
    """One that sees every pixel, and takes no time."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "weight"], ["scores"], pads=[1, 1, 1, 1])
    inputs, outputs = [tensor("image", FLOAT, NCHW)], [tensor("scores", FLOAT, (1, 4, *NCHW[2:]))]
    write_graph(path, [node], inputs, outputs, NORMALISED, weight=weight)


def _frames() -> list[NDArray[np.uint8]]:
    """Noisy, so that every packet has some weight."""
    noise = np.random.default_rng(0)
    return [
        (frame + noise.integers(-40, 40, frame.shape)).clip(0, 255).astype(np.uint8) for frame in moving_frames(COUNT)
    ]


def _make_pieces(folder: Path) -> None:
    """piece0.ts …, as a playlist names them: a group of pictures each."""
    options = {"hls_time": "0.1", "hls_segment_filename": str(folder / "piece%d.ts"), "hls_list_size": "0"}
    with (
        av.open(str(folder / "clip.ts")) as clip,
        av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as pieces,
    ):
        stream = pieces.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.size:
                assert packet.time_base
                packet.stream, packet.duration = stream, round(1 / (FPS * packet.time_base))
                pieces.mux(packet)


def _make_pictures(folder: Path) -> None:
    """clip.mjpeg, JPEGs one after the other, and each by itself."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    with av.open(str(folder / "clip.mjpeg"), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=25, width=96, height=64, pix_fmt="yuvj420p", options={"qmax": "2"})
        for index, image in enumerate([*_frames(), None]):
            frame = None if image is None else av.VideoFrame.from_ndarray(image).reformat(format="yuvj420p")
            for packet in stream.encode(frame):
                (pictures / f"{index:03d}.jpg").write_bytes(bytes(packet))
                container.mux(packet)
