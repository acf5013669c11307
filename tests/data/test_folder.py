from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import layouts, videos
from support.places import ROOT
from support.small import write_clip
from tdseg.data.folder import Folder, read_config
from tdseg.errors import ConfigError, DataError
from tdseg.metrics.iou import VOID
from tdseg.video import open_video

PAIRS = {"train": [{"images": "images", "masks": "masks"}]}


def pairs(root: Path, mask: np.ndarray, **fields: object) -> Path:
    layouts.save(root / "images" / "a.png", layouts.picture(1))
    layouts.save(root / "images" / "b.jpg", layouts.picture(2, (40, 64)))
    layouts.save(root / "masks" / "a.png", mask)
    layouts.save(root / "masks" / "b.png", np.zeros((40, 64, *mask.shape[2:]), np.uint8))
    return layouts.folder(root, **{"splits": PAIRS, **fields})


def test_images_of_any_size(tmp_path: Path) -> None:
    data = Folder(pairs(tmp_path, layouts.stripes([1, 0, 255])), "train")
    assert data[0].labels[0, 0, ::16].tolist() == [1, 0, VOID]
    assert [clip.frames.shape for clip in data] == [(1, 3, 32, 48), (1, 3, 40, 64)]
    assert (list(data.classes), len(data.palette), data.fps) == (["road", "car"], 2, None)


DEEP_GREY = (np.arange(32 * 48) * 40).astype(np.uint16).reshape(32, 48)


@pytest.mark.parametrize("image", [Image.fromarray(DEEP_GREY), Image.fromarray(layouts.picture(7)).convert("L")])
def test_training_reads_pictures_as_segment_does(tmp_path: Path, image: Image.Image) -> None:
    (tmp_path / "images").mkdir()
    image.save(tmp_path / "images" / "a.png", exif=videos.turned())
    layouts.folder(tmp_path, splits={"free": [{"images": "images"}]})
    [frame] = videos.read(tmp_path / "images" / "a.png")[1]
    assert frame.image.shape == (48, 32, 3)
    assert len(np.unique(frame.image)) > 50
    np.testing.assert_array_equal(Folder(tmp_path, "free")[0].frames[0].permute(1, 2, 0), frame.image)


def test_ignored_values_are_no_classes(tmp_path: Path) -> None:
    data = Folder(pairs(tmp_path, layouts.stripes([0, 1, 2, 255]), ignore=[0]), "train")
    assert data[0].labels[0, 0, ::12].tolist() == [VOID, 0, 1, VOID]


def test_coloured_masks(tmp_path: Path) -> None:
    colors = np.array([[128, 64, 128], [0, 0, 142], [0, 0, 0]], np.uint8)
    classes = [{"name": "road", "color": [128, 64, 128]}, {"name": "car", "color": [0, 0, 142]}]
    root = pairs(tmp_path, colors[layouts.stripes([1, 0, 2])], classes=classes, ignore=[[0, 0, 0]])
    data = Folder(root, "train")
    assert data[0].labels[0, 0, ::16].tolist() == [1, 0, VOID]
    assert data.palette == ((128, 64, 128), (0, 0, 142))
    layouts.save(root / "masks" / "a.png", np.full((*layouts.SIZE, 3), 9, np.uint8))
    with pytest.raises(DataError, match=r"a\.png: colour 9 9 9 at x=0, y=0, 1536 such"):
        data[0]
    paletted = Image.fromarray(layouts.stripes([1, 0]))
    paletted.putpalette([7] * 768)
    paletted.save(root / "masks" / "a.png")
    assert data[0].labels[0, 0, ::24].tolist() == [1, 0]  # an indexed mask says the class itself


def test_bad_masks(tmp_path: Path) -> None:
    root = pairs(tmp_path, layouts.stripes([0, 2]))
    with pytest.raises(DataError, match=r"a\.png: value 2 at x=24, y=0") as caught:
        Folder(root, "train")[0]
    assert "values 0 … 1, 255" in str(caught.value)
    layouts.save(root / "masks" / "a.png", layouts.picture(1))
    with pytest.raises(DataError, match="a coloured label"):
        Folder(root, "train")[0]
    (root / "masks" / "a.png").rename(root / "masks" / "c.png")
    with pytest.raises(DataError, match=r"c\.png has no image; and 1 more"):
        Folder(root, "train")
    data = Folder(root, "train", strict=False)
    assert len(data) == 1
    assert [Path(flaw.split()[0]).name for flaw in data.flaws] == ["c.png", "a.png"]


def video(root: Path, masks: list[int]) -> Path:
    root.mkdir(exist_ok=True)
    write_clip(root / "drive.mp4", 12)
    for number in masks:
        layouts.save(root / "masks" / f"drive_{number:06}.png", layouts.stripes([0, 1], (64, 96)))
    return layouts.folder(root, splits={"train": [{"video": "drive.mp4", "masks": "masks"}]})


def test_video_with_sparse_masks(tmp_path: Path) -> None:
    root = video(tmp_path, [1, 4, 11])
    with open_video(root / "drive.mp4") as reader:
        frames = [frame.image for frame in reader]
    data = Folder(root, "train", length=3)
    assert len(data.dropped) == 1
    assert [[int(s) for s in data.clip(i).labels[:, 0, 95]] for i in range(2)] == [[VOID, VOID, 1]] * 2
    for index, last in enumerate((4, 11)):
        for offset, frame in enumerate(data[index].frames.permute(0, 2, 3, 1).numpy()):
            np.testing.assert_array_equal(frame, frames[last - 2 + offset])
    assert data.has_past
    assert data.fps is None
    layouts.save(root / "masks" / "drive_12.png", layouts.stripes([0], (64, 96)))
    with pytest.raises(DataError, match=r"drive_12\.png: not the mask of one frame of drive\.mp4, which has 12"):
        Folder(root, "train")


def test_video_with_a_mask_for_every_frame_is_a_video(tmp_path: Path) -> None:
    data = Folder(video(tmp_path, list(range(12))), "train")
    assert data.fps == 10
    assert {data.sequence(i) for i in range(len(data))} == {"drive.mp4"}


@pytest.mark.parametrize(
    ("times", "muxer"), [(None, {"live": "1"}), ([*(i / 25 for i in range(8)), 2.0, 2.4, 2.8, 3.2], {})]
)
def test_videos_are_counted_whatever_they_declare(
    tmp_path: Path, times: list[float] | None, muxer: dict[str, str]
) -> None:
    """A pipe leaves no duration; at a variable rate, duration times rate is no count."""
    images = [layouts.picture(number) for number in range(12)]
    videos.make_clip(tmp_path / "a.mkv", images, times=times, muxer=muxer, codec="ffv1", pix_fmt="bgr0")
    for number in range(12):
        layouts.save(tmp_path / "masks" / f"{number}.png", layouts.stripes([0, 1], images[0].shape[:2]))
    layouts.folder(
        tmp_path, splits={"all": [{"video": "a.mkv", "masks": "masks"}], "free": [{"video": "a.mkv", "every": 4}]}
    )
    assert layouts.numbers(Folder(tmp_path, "all", length=12)[0]) == list(range(12))
    assert [layouts.numbers(clip) for clip in Folder(tmp_path, "free")] == [[3], [7], [11]]


def test_folder_of_frames_as_video(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        layouts.save(tmp_path / "drive" / f"{number}.png", layouts.picture(number))
    layouts.save(tmp_path / "masks" / "10.png", layouts.stripes([0, 1]))
    layouts.folder(tmp_path, splits={"train": [{"video": "drive", "masks": "masks"}], "free": [{"video": "drive"}]})
    assert layouts.numbers(Folder(tmp_path, "train", length=3)[0]) == [8, 9, 10]


def test_unlabelled(tmp_path: Path) -> None:
    write_clip(tmp_path / "drive.mp4", 12)
    layouts.save(tmp_path / "images" / "a.png", layouts.picture(1))
    parts = [{"video": "drive.mp4", "every": 5}, {"images": "images"}]
    data = Folder(layouts.folder(tmp_path, splits={"free": parts}), "free")
    assert len(data) == 3  # frames 4 and 9, and the image
    assert all((clip.labels == VOID).all() for clip in data)
    assert len(Folder(tmp_path, "free", length=6)) == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": 1}, "colour"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "contradicting"),
        ({"classes": ["a", {"name": "b", "color": [1, 2, 3]}]}, "contradicting"),
        ({"splits": {"train": [{"images": "a", "video": "b"}]}}, "splits.train.0"),
        ({"splits": {"train": [{"images": "a", "every": 2}]}}, "splits.train.0"),
    ],
)
def test_bad_yaml(tmp_path: Path, fields: dict[str, object], named: str) -> None:
    layouts.folder(tmp_path, **{"splits": PAIRS, **fields})
    with pytest.raises(ConfigError, match=named):
        Folder(tmp_path, "train")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.yaml: No such file"):
        Folder(tmp_path, "train")
    layouts.folder(tmp_path, splits={"train": [{"video": "none.mp4"}], "val": [{"images": "none"}]})
    with pytest.raises(DataError, match=r"none\.mp4"):
        Folder(tmp_path, "train")
    with pytest.raises(DataError, match="none holds no images"):
        Folder(tmp_path, "val")
    with pytest.raises(DataError, match="no split 'test'"):
        Folder(tmp_path, "test")


def test_the_documented_yaml_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("classes")]
    plain, coloured = blocks
    (tmp_path / "data.yaml").write_text(plain)
    config = read_config(tmp_path / "data.yaml")
    assert [len(parts) for parts in config.splits.values()] == [5, 1]
    assert config.ignored() == ([0], [])
    (tmp_path / "data.yaml").write_text(coloured + plain[plain.index("splits") :])
    assert read_config(tmp_path / "data.yaml").ignored() == ([], [(0, 0, 0)])
