import numpy as np
import pytest

from detection.foreground import foreground_cells, foreground_mask
from detection.protocol import BoolArray, DetectionError, UInt8Array
from detection.samples import PRODUCTS, make_part
from tests import images

HEIGHT, WIDTH = 180, 300


def picture(ground: int, part: int, mask: BoolArray, *, noise: float = 4.0) -> UInt8Array:
    """A grey picture of two levels, noisy."""
    rng = np.random.default_rng(5)
    grey = np.where(mask, float(part), float(ground)) + rng.normal(0, noise, mask.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def disc(radius: float, centre_yx: tuple[float, float] = (80, 170)) -> BoolArray:
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.asarray(np.hypot(rows - centre_yx[0], cols - centre_yx[1]) < radius)


def box(top: int, left: int, bottom: int, right: int) -> BoolArray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(("ground", "part"), [(230, 40), (25, 190), (120, 160)])
def test_finds_dark_and_bright_parts(ground: int, part: int) -> None:
    truth = disc(50)
    mask = foreground_mask(picture(ground, part, truth))
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask.dtype == np.bool_
    assert mask[truth].all()
    assert not mask[~disc(50 + 0.06 * WIDTH)].any()  # the margin and the blur, no more
    assert mask[disc(50 + 0.02 * WIDTH)].all()


def test_colour_alone_is_enough() -> None:
    truth = disc(45)
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = (60, 140, 60)
    image[truth] = (140, 60, 60)
    mask = foreground_mask(image)
    assert mask[truth].all()
    assert mask.mean() < 0.25


def test_holes_are_part_and_specks_are_not() -> None:
    ring = disc(60) & ~disc(30)
    speck = box(8, 10, 11, 13)  # 0.02 % of the picture
    mask = foreground_mask(picture(230, 40, ring | speck))
    assert mask[disc(60)].all()
    assert not mask[:40, :60].any()


def test_a_bite_out_of_the_edge_stays_in() -> None:
    bite = disc(8, (80, 218))
    mask = foreground_mask(picture(230, 40, disc(50) & ~bite))
    assert mask[disc(50)].all()


def test_sample_rings_at_any_angle() -> None:
    ring = PRODUCTS["flange-ring"]
    for seed in range(4):
        part = make_part(ring, seed=seed, views=["face"], defect="missing_hole")
        image, marks = part.images["face"][40:600, :], part.masks["face"][40:600, :]
        assert image.shape[:2] == (560, 640)
        mask = foreground_mask(image)
        assert 0.5 < mask.mean() < 0.75
        assert mask[280, 320]  # the bore
        assert mask[marks].all()
        assert not mask[:20, :20].any()
        assert not mask[-20:, -20:].any()


def test_small_parts_of_other_tests() -> None:
    mask = foreground_mask(images.part_pixels(3, defect=True))
    assert mask[images.spot_mask(3)].all()
    assert not mask[:, :10].any()


def fading(start: float, end: float) -> UInt8Array:
    row = np.linspace(start, end, WIDTH)
    return np.repeat(np.tile(row, (HEIGHT, 1))[:, :, None], 3, axis=2).astype(np.uint8)


def noise(*, channels: int) -> UInt8Array:
    values = np.random.default_rng(2).normal(120, 30, (HEIGHT, WIDTH, channels))
    full = np.broadcast_to(values, (HEIGHT, WIDTH, 3))
    return np.ascontiguousarray(np.clip(full, 0, 255).astype(np.uint8))


WHOLE = {
    "one colour": np.full((HEIGHT, WIDTH, 3), 90, np.uint8),
    "all black": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    "noise": noise(channels=3),
    "grey noise": noise(channels=1),
    "light that fades": fading(40, 230),
    "cloth": make_part(PRODUCTS["filter-cloth"], seed=1).images["top"],
    "a close-up": make_part(PRODUCTS["flange-ring"], seed=1, views=["bore"]).images["bore"],
    "too little contrast": picture(120, 126, disc(50), noise=0.5),
    "a part too small": picture(230, 40, disc(10)),
    "a part that fills the picture": picture(230, 40, box(3, 3, HEIGHT - 3, WIDTH - 3)),
    "two tones": picture(230, 40, box(0, 0, HEIGHT, WIDTH // 2)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_in_doubt_the_whole_image_is_the_part(name: str) -> None:
    image = WHOLE[name]
    assert foreground_mask(image).all()
    assert foreground_mask(image).shape == image.shape[:2]
    assert foreground_cells(image, (9, 15)).all()


def test_a_strip_through_the_picture_is_a_part() -> None:
    strip = box(60, 0, 120, WIDTH)
    mask = foreground_mask(picture(230, 40, strip))
    assert mask[strip].all()
    assert not mask[:40].any()
    assert not mask[-40:].any()


@pytest.mark.parametrize("size_hw", [(64, 512), (900, 48), (33, 40), (1100, 700)])
def test_any_size(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    truth = np.zeros(size_hw, np.bool_)
    truth[height // 4 : height // 4 * 3, width // 4 : width // 4 * 3] = True
    mask = foreground_mask(picture(210, 60, truth))
    assert mask.shape == size_hw
    assert mask[truth].all()
    assert not mask.all()


def test_cells_with_a_tenth_of_the_part_count() -> None:
    image = picture(230, 40, box(60, 100, 120, 200))
    mask = foreground_mask(image)
    cells = foreground_cells(image, (9, 15))
    shares = mask.reshape(9, 20, 15, 20).mean(axis=(1, 3))
    assert cells.shape == (9, 15)
    assert cells[shares > 0.15].all()
    assert not cells[shares < 0.05].any()
    assert 0 < cells.sum() < cells.size
    finer = foreground_cells(image, (2 * HEIGHT, 2 * WIDTH))  # finer than the mask itself
    assert finer[2 * 90, 2 * 150]
    assert not finer[0, 0]


def test_some_cell_always_counts() -> None:
    image = picture(230, 40, disc(30, (32, 34)))  # margin included, under a tenth
    mask = foreground_mask(image)
    assert not mask.all()
    assert foreground_cells(image, (1, 1)).all()
    assert foreground_cells(image, (2, 3)).any()


def test_same_image_same_mask() -> None:
    image = picture(230, 40, disc(50), noise=12)
    before = image.copy()
    first = foreground_mask(image)
    np.testing.assert_array_equal(first, foreground_mask(image.copy()))
    turned = foreground_mask(np.ascontiguousarray(image[:, ::-1]))
    assert (turned[:, ::-1] != first).mean() < 0.02
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((40, 60), np.uint8),
        np.zeros((40, 60, 4), np.uint8),
        np.zeros((40, 60, 3), np.uint16),
        np.zeros((0, 60, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(image: UInt8Array) -> None:
    with pytest.raises(DetectionError, match="height, width, 3"):
        foreground_mask(image)
    with pytest.raises(DetectionError, match="height, width, 3"):
        foreground_cells(image, (2, 3))


def test_a_grid_needs_cells() -> None:
    with pytest.raises(DetectionError, match="row"):
        foreground_cells(picture(230, 40, disc(50)), (0, 4))
