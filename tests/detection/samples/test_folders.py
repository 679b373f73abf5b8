from pathlib import Path

import numpy as np

from detection.decoding import decode_image
from detection.mvtec import read_folder
from detection.samples import PRODUCTS, encode_image, make_part, write_mvtec


def test_folder_reads_back_as_mvtec(tmp_path: Path) -> None:
    ring = PRODUCTS["flange-ring"]
    told: list[tuple[int, int, str]] = []
    write_mvtec(
        tmp_path,
        ring,
        view="bore",
        normals=5,
        defects=7,
        test_normals=2,
        seed=1,
        on_progress=lambda *step: told.append(step),
    )
    assert told[-1][:2] == (14, 14)
    read = read_folder(tmp_path)
    assert read.normals.ids[0] == "train/good/0475_0000.jpg"
    assert len(read.normals) == 5
    assert read.labelled is not None
    items = list(read.labelled)
    assert [item.defect_type for item in items if item.is_defect] == sorted(ring.defects)
    assert sum(not item.is_defect for item in items) == 2
    for item in items:
        assert item.image.shape == (512, 640, 3)
        if item.is_defect:
            assert item.mask is not None
            assert item.mask.any()


def test_no_part_is_in_training_and_test(tmp_path: Path) -> None:
    cloth = PRODUCTS["filter-cloth"]
    write_mvtec(tmp_path, cloth, normals=3, defects=2, test_normals=3)
    files = [path.read_bytes() for path in sorted(tmp_path.rglob("*.jpg"))]
    assert len(files) == len(set(files)) == 8


def test_encoded_image_is_nearly_the_same() -> None:
    image = make_part(PRODUCTS["flange-ring"], seed=1, views=["face"]).images["face"]
    decoded = decode_image(encode_image(image))
    assert np.abs(decoded.astype(int) - image).mean() < 2
