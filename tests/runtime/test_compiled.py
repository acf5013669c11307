from __future__ import annotations

from pathlib import Path

from tdseg.runtime.compiled import trusted_blobs


def test_blobs_are_kept_as_long_as_they_are_as_left(tmp_path: Path) -> None:
    folder = tmp_path / "compiled" / "graph"
    with trusted_blobs(folder) as kept:
        assert kept == folder
        (folder / "1.blob").write_bytes(b"compiled")
    with trusted_blobs(folder):
        assert (folder / "1.blob").read_bytes() == b"compiled"
    (folder / "1.blob").write_bytes(b"compilad")  # one bit
    (folder / "2.blob").write_bytes(b"not finished")
    with trusted_blobs(folder):
        assert not list(folder.glob("*.blob"))
        (folder / "1.blob").write_bytes(b"compiled again")
    with trusted_blobs(folder):
        assert [file.name for file in folder.glob("*.blob")] == ["1.blob"]


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (None, tmp_path / "file" / "graph"):
        with trusted_blobs(folder) as kept:
            assert kept is None
