"""Files that are cut off say so, wherever they are cut; whole ones are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.videos import make_clip, moving, read
from tdseg.errors import VideoError
from tdseg.video import open_video

KINDS = {
    "clip.ts": ("libx264", "yuv420p"),
    "clip.flv": ("flv", "yuv420p"),
    "clip.ogv": ("libvpx", "yuv420p"),
    "clip.gif": ("gif", "rgb8"),
    "clip.wmv": ("wmv2", "yuv420p"),
    "clip.mpg": ("mpeg2video", "yuv420p"),
    "clip.mkv": ("libx264", "yuv420p"),
    "clip.avi": ("mpeg4", "yuv420p"),
}


@pytest.mark.parametrize("name", KINDS)
def test_cut_off_is_said(name: str, tmp_path: Path) -> None:
    codec, form = KINDS[name]
    path = make_clip(tmp_path / name, [moving(i) for i in range(12)], codec=codec, pix_fmt=form)
    reader, frames = read(path)
    assert (len(frames), reader.problem) == (12, None)
    data = path.read_bytes()
    for part in (35, 50, 71, 93):
        path.write_bytes(data[: len(data) * part // 100 + 1])
        try:
            reader, frames = read(path)
        except VideoError:  # not even one frame
            continue
        assert len(frames) == 12 or reader.problem is not None, part


def test_playlists_on_disk_open_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", [moving(0)])
    texts = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        "again.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nagain.m3u8\n",
        "list.ffconcat": "ffconcat version 1.0\nfile clip.ts\n",
        "camera.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        for source in (str(tmp_path / name), f"file://{tmp_path / name}"):
            with pytest.raises(VideoError, match="a playlist, which names other files"):
                open_video(source)
