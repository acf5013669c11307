"""Sources that are damaged, missing, locked, or no video."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from support.videos import corners, make_clip, packets_of, read
from tdseg.errors import VideoError
from tdseg.video import open_video


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_cut_off_file_gives_what_decodes_and_says_so(tmp_path: Path, suffix: str) -> None:
    muxer = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = make_clip(tmp_path / f"clip{suffix}", muxer=muxer)
    path.write_bytes(path.read_bytes()[: packets_of(path)[15][0] + 20])
    reader, frames = read(path)
    assert 8 < len(frames) < 17
    assert reader.info.num_frames == 30
    assert reader.problem is not None
    assert f"{len(frames)} of 30 declared frames came" in reader.problem


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damaged_packets_are_skipped_and_counted(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / "clip.mp4", codec=codec)
    data = bytearray(path.read_bytes())
    for position, size in packets_of(path)[10:14]:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    reader, frames = read(path)
    assert len(frames) == 26
    assert frames[-1].time_s == pytest.approx(29 / 25)
    assert reader.problem == "26 of 30 declared frames came; 4 damaged packets were skipped"


def test_frames_hidden_by_an_edit_list_are_not_missed(tmp_path: Path) -> None:
    muxer = {"avoid_negative_ts": "disabled"}  # with it the muxer hides what lies before 0
    path = make_clip(tmp_path / "clip.mp4", shift_s=-0.4, options={"bf": "0"}, muxer=muxer)
    reader, frames = read(path)
    assert len(frames) == 20
    assert frames[0].time_s == 0
    assert reader.problem is None


@pytest.mark.parametrize(
    ("name", "content"), [("text.mp4", b"not a video\n" * 99), ("notes.txt", b"words\n" * 99), ("empty.mp4", b"")]
)
def test_text_is_no_video(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=name):
        open_video(tmp_path / name)


def test_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")  # its index is at the end
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        open_video(path)


def test_file_cut_before_its_first_frame_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: packets_of(path)[0][0] + 20])
    with pytest.raises(VideoError, match="no "):
        open_video(path)


@pytest.mark.parametrize("name", ["none.mp4", "none.png", "folder/none.mkv"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoError, match="No such file"):
        open_video(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="sets the user as Linux does")
@pytest.mark.parametrize("locked", ["file", "folder above", "folder of images"])
def test_source_without_permission(locked: str) -> None:
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as top:  # tmp_path is closed to all users but one
        os.chmod(top, 0o755)
        folder = Path(top, "folder")
        folder.mkdir()
        path = make_clip(folder / "clip.mp4")
        (path if locked == "file" else folder).chmod(0)
        if user == 0:  # root may read everything, so be nobody for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(VideoError, match="Permission denied"):
                open_video(folder if locked == "folder of images" else path)
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_sound_alone_is_refused_even_with_a_cover(tmp_path: Path) -> None:
    path = tmp_path / "song.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="stereo")
        block = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        block.sample_rate = 48000
        cover = tmp_path / "cover.png"
        Image.fromarray(corners()).save(cover)
        container.add_attachment("cover.png", "image/png", cover.read_bytes())
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video in it"):
        open_video(path)


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        container.add_stream("libx264", rate=25, width=64, height=48)
        container.start_encoding()
    with pytest.raises(VideoError, match=r"none\.mkv"):
        open_video(path)
