import os
from pathlib import Path

import numpy as np
import pytest

from detection.mvtec import FolderError, read_folder
from tests import images

DATA = Path(os.environ.get("SECONDLOOK_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (2, 0, 1):
        write(tmp_path / f"train/good/{number:03d}.png", images.good_png(number))
    write(tmp_path / "train/good/notes.txt", b"not an image")
    write(tmp_path / "test/good/000.jpg", images.good_jpeg(5))
    write(tmp_path / "test/spot/000.png", images.good_png(6, defect=True))
    write(tmp_path / "test/spot/001.png", images.good_png(7, defect=True))
    for number, seed, name in ((0, 6, "000.png"), (1, 7, "001_mask.png")):
        mask = images.spot_mask(seed).astype(np.uint8) * (255 if number else 1)
        write(tmp_path / "ground_truth/spot" / name, images.encode(mask))
    return tmp_path


def test_mvtec_layout(folder: Path) -> None:
    read = read_folder(folder)
    assert read.normals.ids == ("train/good/000.png", "train/good/001.png", "train/good/002.png")
    first, second = list(read.normals), list(read.normals)
    assert len(read.normals) == len(first) == 3
    np.testing.assert_array_equal(first[2], images.part_pixels(2))
    np.testing.assert_array_equal(first[2], second[2])
    assert read.labelled is not None
    items = list(read.labelled)
    assert [item.id for item in items] == [
        "test/good/000.jpg",
        "test/spot/000.png",
        "test/spot/001.png",
    ]
    assert [item.is_defect for item in items] == [False, True, True]
    assert [item.defect_type for item in items] == ["", "spot", "spot"]
    assert items[0].mask is None
    for item, seed in zip(items[1:], (6, 7), strict=True):
        assert item.mask is not None
        np.testing.assert_array_equal(item.mask, images.spot_mask(seed))


def test_flat_folder_of_normals(tmp_path: Path) -> None:
    write(tmp_path / "b.JPG", images.good_jpeg(1))
    write(tmp_path / "a.bmp", images.encode(images.part_pixels(0), "BMP"))
    write(tmp_path / ".hidden.png", images.good_png())
    read = read_folder(tmp_path)
    assert read.normals.ids == ("a.bmp", "b.JPG")
    assert read.labelled is None


def test_defect_type_without_masks(folder: Path) -> None:
    write(folder / "test/scratch/000.png", images.good_png(8, defect=True))
    labelled = read_folder(folder).labelled
    assert labelled is not None
    assert [item.mask is None for item in labelled] == [True, True, False, False]


def test_missing_mask_is_an_error(folder: Path) -> None:
    (folder / "ground_truth/spot/000.png").unlink()
    with pytest.raises(FolderError, match=r"no mask for 000\.png"):
        read_folder(folder)


def test_damaged_file_is_named(folder: Path) -> None:
    (folder / "train/good/001.png").write_bytes(images.half_png())
    with pytest.raises(FolderError, match=r"train/good/001\.png: The file is cut off"):
        list(read_folder(folder).normals)


def test_folders_without_images_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="There is no folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(FolderError, match="neither images nor a train/good"):
        read_folder(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(FolderError, match="holds no images"):
        read_folder(tmp_path)
    write(tmp_path / "train/good/0.png", images.good_png())
    (tmp_path / "test").mkdir()
    with pytest.raises(FolderError, match="holds no folders with images"):
        read_folder(tmp_path)


def test_measuring_images_are_read_whole() -> None:
    bottle = DATA / "bottle"
    if not bottle.is_dir():
        pytest.skip("needs the measuring images")
    read = read_folder(bottle)
    assert len(read.normals) == 209
    assert read.labelled is not None
    assert sum(read.labelled.labels) == 63
    item = next(item for item in read.labelled if item.is_defect)
    assert item.mask is not None
    assert item.mask.shape == item.image.shape[:2]
    assert 0 < item.mask.mean() < 0.5
