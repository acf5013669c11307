"""Overlays that are kept."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from support.serving import packaged_model, until
from support.small import FPS, SIZE, moving_frames, write_clip
from tdseg.errors import OutputError
from tdseg.files import check_folder
from tdseg.live.keeping import KeptOverlay
from tdseg.live.sessions import Sessions
from tdseg.video import open_video


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(packaged_model(), size=SIZE)


def test_a_file_is_whole_when_the_session_ends(sessions: Sessions, tmp_path: Path) -> None:
    path = tmp_path / "kept.mp4"
    with sessions:
        session = sessions.open("film", write_clip(tmp_path / "clip.mp4", 6))
        kept = KeptOverlay(session, path)
        until(lambda: session.state == "ended")
        until(path.exists)
        kept.stop()
    with open_video(path) as reader:
        frames = list(reader)
    assert 0 < len(frames) <= 6
    assert all(round(frame.time_s * FPS, 3).is_integer() for frame in frames)  # those of the source
    assert frames[0].image.shape == (*SIZE, 3)


def test_a_file_is_whole_when_it_is_stopped(sessions: Sessions, tmp_path: Path) -> None:
    with sessions:
        session = sessions.open("pushed")
        kept = KeptOverlay(session, tmp_path / "kept.mp4")
        for index, size in enumerate([SIZE, SIZE, (48, 48)]):  # another size is fitted in
            session.push(moving_frames(1, size)[0], time_s=2.0 + index)
            until(lambda index=index: session.wait(index - 1, 1))  # type: ignore[misc]
        assert not (tmp_path / "kept.mp4").exists()
        kept.stop()
    with open_video(tmp_path / "kept.mp4") as reader:
        assert (reader.info.height, reader.info.width) == SIZE
        assert next(iter(reader)).time_s == 0
    assert [path.name for path in tmp_path.iterdir()] == ["kept.mp4"]


def test_nothing_of_a_session_without_a_frame(sessions: Sessions, tmp_path: Path) -> None:
    with sessions:
        KeptOverlay(sessions.open("pushed"), tmp_path / "kept.mp4").stop()
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_kept(sessions: Sessions, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "there.mp4").write_bytes(b"x")
    with sessions:
        session = sessions.open("pushed")
        with pytest.raises(OutputError, match="exists"):
            KeptOverlay(session, tmp_path / "there.mp4")
        with pytest.raises(OutputError, match="no folder"):
            KeptOverlay(session, tmp_path / "none" / "kept.mp4")
        with pytest.raises(OutputError):
            check_folder(tmp_path / "there.mp4" / "below")
        (tmp_path / "goes").mkdir()
        kept = KeptOverlay(session, tmp_path / "goes" / "kept.mp4")
        (tmp_path / "goes").rmdir()
        with caplog.at_level(logging.WARNING, "tdseg"):
            session.push(moving_frames(1)[0])
            kept._thread.join(20)
        assert "pushed is not kept any more" in caplog.text
        assert session.state == "running"  # which harms nobody
