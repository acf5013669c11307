"""What sources are called: cameras and folders of digits, patterns, addresses with passwords; and what errors say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.videos import SIZE, make_clip, read, through_stdin
from tdseg.errors import VideoError
from tdseg.inference.pipeline import default_output, segment_to
from tdseg.video import open_video
from tdseg.video.address import printable


def frames(folder: Path, numbers: list[int], name: str = "{:05d}.png") -> Path:
    """Grey images of these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(np.full((*SIZE, 3), number, np.uint8)).save(folder / name.format(number))
    return folder


def shown(source: str) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in read(source)[1]]


def test_folder_of_digits_is_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(frames(tmp_path / "0001", [3, 4]).parent)
    assert shown("0001") == [3, 4]
    assert default_output("0001") == Path("out/0001")
    assert default_output("1") == default_output(1) == Path("out/camera-1")
    (tmp_path / "7").mkdir()
    with pytest.raises(VideoError, match="camera 7"):
        open_video(7)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("f/%05d.png", [2, 9, 10, 200]),
        ("f/%d.png", [2, 9, 10, 200]),
        ("f/*.png", [2, 9, 10, 200]),
        ("f/000?0.png", [10]),
        ("f/%06d.png", None),
        ("f/*.jpg", None),
        ("none/%05d.png", None),
    ],
)
def test_patterns_name_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[int] | None
) -> None:
    monkeypatch.chdir(frames(tmp_path / "f", [10, 2, 200, 9]).parent)
    (tmp_path / "f" / "notes.txt").write_text("no frame")
    if expected is None:
        with pytest.raises(VideoError, match="no image matches this pattern"):
            open_video(pattern)
    else:
        assert shown(pattern) == expected
        assert default_output(pattern) == Path("out/f")


def test_file_that_only_looks_like_a_pattern_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(frames(tmp_path, [5, 6], "[{}]%d.png"))
    assert shown("[5]%d.png") == [5]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://admin:secret@10.0.0.1:554/x?a=b@c", "rtsp://10.0.0.1:554/x?a=b@c"),
        ("rtsp://admin:se@cret@host/x", "rtsp://host/x"),
        ("rtsp://admin:se/cret@host/x", "rtsp://host/x"),
        ("http://user@host", "http://host"),
        ("http://host/v.cgi?user=a&Pwd=secret&fps=5", "http://host/v.cgi?user=a&Pwd=***&fps=5"),
        ("https://host/a.m3u8?access_token=se:cret#t=1", "https://host/a.m3u8?access_token=***#t=1"),
        (
            "https://host/a.mp4?X-Amz-Credential=secret&X-Amz-Signature=cret",
            "https://host/a.mp4?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        ("http://host/a.mp4?passage=&x=1", "http://host/a.mp4?passage=&x=1"),
        ("http://host:8080/@name/clip.mp4", "http://host:8080/@name/clip.mp4"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("a@b.mp4", "a@b.mp4"),
        ("-", "-"),
    ],
)
def test_passwords_are_not_printed(address: str, expected: str) -> None:
    assert printable(address) == expected
    assert "cret" not in str(default_output(address))


def test_errors_of_addresses_hold_no_password(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"^tcp://127\.0\.0\.1:1/x: ") as error:
        segment_to("tcp://admin:secret@127.0.0.1:1/x", tmp_path / "o")
    assert "secret" not in str(error.value)


def test_mp4_on_a_pipe_with_its_index_at_the_end(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 240, 320, 3), np.uint8)  # more than is read ahead
    path = make_clip(tmp_path / "a.mp4", list(noise))
    error = through_stdin(path.read_bytes()).stderr.decode()
    assert "index at the end" in error
    assert "faststart" in error
    first = make_clip(tmp_path / "b.mp4", muxer={"movflags": "faststart"})
    assert through_stdin(first.read_bytes()).stdout.decode().strip() == "stdin 30 1.16 (48, 64, 3) None"


def test_image_with_too_many_pixels_is_told_as_that(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "big.png")
    with pytest.raises(VideoError, match=r"200000000 pixels.*limit of 178956970 pixels"):
        open_video(tmp_path / "big.png")


def test_damaged_image_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"a\.png: not a readable image"):
        open_video(tmp_path / "a.png")
