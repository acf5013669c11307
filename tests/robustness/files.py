"""Damaged videos, pictures and masks; odd paths, and odd times."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from robustness.damage import HOSTILE, TEXTS, changed, damaged
from robustness.materials import VIDEOS

FOREIGN = {
    "program.ps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n/loop { } def { loop } bind loop\n",
    "big.pgm": b"P5\n60000 60000\n255\n",
    "wide.ppm": b"P6\n99999999999999999999 1\n255\n",
    "text.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "self.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nself.m3u8\n",
    "self.ffconcat": b"ffconcat version 1.0\nfile self.ffconcat\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "empty.mp4": b"",
    "zeros.avi": bytes(5000),
}
"""Files of other kinds, some of which would open others."""

SHAPES: tuple[str, ...] = (
    "(True, 64, 96)",
    "(10**9, 1, 1)",
    "(1000000000, 1, 1)",
    "(3, 64)",
    "(0, 64, 96)",
    "(-1, 64, 96)",
    "None",
)
SHAPES += ("(3, 64, 96.5)", "(3, 64, 96)", f"(3, {'1, ' * 3000})", "(" * 500, "(2**62, 2**62, 4)", "(3, 16384, 16385)")


def _segment(materials: Path, folder: Path, source: object, *options: str) -> list[str]:
    model = ["--model", str(materials / "lite0s.safetensors"), "--runtime", "torch", "--threads", "1"]
    return ["segment", str(source), *model, "-o", str(folder / "result"), *options]


def video(materials: Path, folder: Path, random: Random) -> list[str]:
    """A container with damage, read whole or in part."""
    there = [name for name in VIDEOS if (materials / name).exists()]
    name = random.choice(there)
    path = folder / (name if random.random() < 0.9 else f"clip.{random.choice(('mp4', 'avi', 'bin', 'png'))}")
    path.write_bytes(damaged((materials / name).read_bytes(), random))
    options = ["--write", random.choice(("masks", "overlay", "masks,overlay", "csv", "video,rle,npz"))]
    if random.random() < 0.2:
        options += ["--start", "0.3"]
    return _segment(materials, folder, path, *options)


def picture(materials: Path, folder: Path, random: Random) -> list[str]:
    """A picture with damage, under its own suffix or another one; alone, or among good ones."""
    original = random.choice(sorted((materials / "pictures").iterdir()))
    data = original.read_bytes()
    suffix = original.suffix if random.random() < 0.7 else random.choice((".png", ".jpg", ".tif", ".webp"))
    path = folder / f"picture{suffix}"
    path.write_bytes(damaged(data, random) if random.random() < 0.85 else data)
    if random.random() < 0.2:
        (folder / "zz.png").write_bytes((materials / "pictures/picture.png").read_bytes())
        path = folder
    return _segment(materials, folder / "out", path, "--write", random.choice(("masks", "masks,overlay")))


def foreign(materials: Path, folder: Path, random: Random) -> list[str]:
    """A file of another kind, some under the suffix of a picture or video."""
    name, data = random.choice(list(FOREIGN.items()))
    path = folder / (
        name if random.random() < 0.5 else f"foreign{random.choice(('.png', '.tif', '.mp4', '.mkv', '.ts'))}"
    )
    path.write_bytes(data if random.random() < 0.7 else damaged(data, random))
    return _segment(materials, folder, path, "--write", "masks")


def masks(materials: Path, folder: Path, random: Random) -> list[str]:
    """Masks of which a file has damage, or says of itself what is not so."""
    kind = random.choice(("npz", "npz header", "jsonl", "jsonl values", "mkv", "png"))
    result = materials / "result"
    if kind == "png":
        path = folder / "masks"
        path.mkdir()
        for file in (result / "masks").iterdir():
            (path / file.name).write_bytes(file.read_bytes())
        one = path / "000001.png"
        one.write_bytes(damaged(one.read_bytes(), random))
    else:
        path = folder / f"masks.{kind.partition(' ')[0]}"
        path.write_bytes(_archive(kind, result / path.name, random))
    if random.random() < 0.5:
        return ["flicker", str(path), "--json", str(folder / "figures.json")]
    return ["steady", str(path), "--video", str(materials / "short.mp4"), "-o", str(folder / "out" / path.name)]


def _archive(kind: str, original: Path, random: Random) -> bytes:
    data = original.read_bytes()
    if kind == "jsonl values":
        lines = [json.loads(line) for line in data.splitlines()]
        return "\n".join(json.dumps(line) for line in changed(lines, random)).encode("utf-8", "replace")
    if kind != "npz header":
        return damaged(data, random)
    shape = random.choice(SHAPES)
    dtype = random.choice(("|u1", "<i8", "|b1", "|O", "<f4", "|V100000", "<M8[s]", "x" * 9000, "[('a', '|u1')]"))
    header = f"{{'descr': '{dtype}', 'fortran_order': {random.choice(('False', 'True', '3'))}, 'shape': {shape}, }}"
    text = header.encode() + b" " * 10 + b"\n"
    head = b"\x93NUMPY" + bytes((random.choice((1, 2, 3, 9)), 0))
    head += len(text).to_bytes(2 if head[6] == 1 else 4, "little") + text
    place = Path(original.parent / f"made-{random.random()}.npz")
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("masks.npy", head + bytes(random.choice((0, 10, 3 * 64 * 96))))
    made = place.read_bytes()
    place.unlink()
    return made


def path(materials: Path, folder: Path, random: Random) -> list[str]:
    """Sources and outputs that are no usual path."""
    loop = folder / "loop"
    loop.symlink_to(loop)
    (folder / "file").write_bytes(b"here")
    (folder / "gone").symlink_to(folder / "nothing")
    odd: list[object] = [
        *TEXTS,
        loop,
        loop / "x",
        folder / "file",
        folder / "file" / "x",
        folder / "gone",
        ".",
        "..",
        "/",
    ]
    odd += [
        "x" * 256,
        folder / ("y" * 256),
        "/".join("z" * 50),
        "a/" * 2500,
        "\udcff",
        "*[",
        "[",
        "~",
        "/dev/full",
        "/dev/zero",
    ]
    odd += [
        "/proc/self/mem",
        folder / "a\nb",
        "file:///etc/passwd",
        "concat:a|b",
        "data:,x",
        "http://[",
        "http://x:99999/",
    ]
    odd = [one for one in odd if one not in ("/dev/zero",)]
    value, clip = str(random.choice(odd)), str(materials / "short.mp4")
    model, w = (
        ["--model", str(materials / "lite0s.safetensors"), "--runtime", "torch"],
        str(materials / "lite0s.safetensors"),
    )
    own = str(folder / "out")
    choices = [
        ["segment", value, *model, "-o", own],
        ["segment", clip, *model, "-o", value],
        ["segment", clip, *model, "-o", own, "--palette", value],
        ["segment", clip, "--model", value, "-o", own],
        ["flicker", value],
        ["flicker", str(materials / "result/masks.npz"), "--video", value],
        ["flicker", str(materials / "result/masks.npz"), "--map", value],
        ["flicker", str(materials / "result/masks.npz"), "--json", value],
        ["flicker", str(materials / "result/masks.npz"), "--palette", value],
        ["steady", value, "--video", clip, "-o", own],
        ["steady", str(materials / "result/masks"), "--video", clip, "-o", value],
        ["compare", w, value, clip, "-o", own + ".html", "--runtime", "torch"],
        ["compare", str(materials / "result/masks"), str(materials / "result/masks.npz"), clip, "-o", value],
        ["export", w, "--to", "onnx", "-o", value],
        ["export", value, "--to", "onnx", "-o", own],
        ["convert", value, own + ".safetensors", "--model", "psp18"],
        ["convert", w, value, "--model", "psp18"],
        ["train", value],
        ["train", str(materials / "recipe.yaml"), "--output", value],
        ["data", "check", value],
        ["data", "check", str(materials / "recipe.yaml"), "--json", value],
        ["eval", "--model", w, "--root", value, "--runtime", "torch"],
        ["eval", "--model", w, "--root", str(materials / "camvid"), "--class-map", value, "--runtime", "torch"],
        ["eval", "--model", w, "--config", value],
        ["bench", "--model", w, "--source", value, "--frames", "2", "--runtime", "torch"],
    ]
    return random.choice(choices)


def time(materials: Path, folder: Path, random: Random) -> list[str]:
    """Times and rates that are none."""
    odd = [
        "9" * 400,
        "0." + "9" * 400,
        "1e5",
        "-1",
        "inf",
        "nan",
        "1:60",
        "99:99:99",
        "٣",
        "9" * 5000,
        "1:" + "9" * 400,
    ]
    odd += ["0:00:" + "0" * 500 + "1", "9" * 308, "", ":", "1e400", str(random.choice(HOSTILE))]
    option = random.choice(("--start", "--end", "--fps", "--every"))
    source = materials / "short.mp4" if option != "--fps" else materials / "result/masks"
    return _segment(materials, folder, source, option, random.choice(odd), "--write", "csv")


FILES: dict[str, Any] = {
    "video": video,
    "picture": picture,
    "foreign": foreign,
    "masks": masks,
    "path": path,
    "time": time,
}
