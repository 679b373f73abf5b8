import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from detection.protocol import DetectionError, UInt8Array
from detection.synthetic import KINDS, make_defect
from detection.synthetic.noise import gradient_noise
from tests import images


def flat(level: int, *, height: int = 70, width: int = 110) -> UInt8Array:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_mask_and_picture_agree_and_the_source_is_left_alone(kind: str) -> None:
    source = images.part_pixels(3, height=150, width=220)
    before = source.copy()
    source.setflags(write=False)
    made = make_defect(source, kind, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(source, before)
    assert made.kind == kind
    assert made.image.shape == source.shape
    assert made.image.dtype == np.uint8
    np.testing.assert_array_equal(made.mask, (made.image != source).any(axis=2))
    assert made.mask.shape == (150, 220)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_bytes(kind: str) -> None:
    source = images.part_pixels(4)
    one, two, other = (
        make_defect(source, kind, rng=np.random.default_rng(seed)).image for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 255),
    st.tuples(st.integers(32, 90), st.integers(32, 300)),
    st.integers(0, 10**6),
)
def test_a_defect_always_shows_and_stays_small(
    kind: str, level: int, size: tuple[int, int], seed: int
) -> None:
    source = flat(level, height=size[0], width=size[1])
    made = make_defect(source, kind, rng=np.random.default_rng(seed))
    difference = np.abs(made.image.astype(int) - source.astype(int)).max()
    assert difference >= 12  # somebody looking for it would see it
    assert 0 < made.mask.mean() < 0.12


def test_kinds_look_like_what_they_are() -> None:
    source = flat(120, height=400, width=600)
    for seed in range(8):
        masks = {
            kind: make_defect(source, kind, rng=np.random.default_rng(seed)).mask for kind in KINDS
        }
        boxes = {kind: ndimage.find_objects(mask.astype(int))[0] for kind, mask in masks.items()}
        fill = {kind: masks[kind][boxes[kind]].mean() for kind in KINDS}
        assert fill["cut-paste"] == 1.0
        assert 0.2 < fill["blotch"] < 0.9
        # A line is far thinner than it is long: its area stays near its length.
        height, width = (side.stop - side.start for side in boxes["scratch"])
        assert masks["scratch"].sum() < 9 * np.hypot(height, width)
        assert ndimage.label(masks["scratch"], np.ones((3, 3)))[1] == 1


def test_noise_is_smooth_and_within_one() -> None:
    noise = gradient_noise(60, 90, cell_px=15, rng=np.random.default_rng(0))
    assert noise.shape == (60, 90)
    assert np.abs(noise).max() <= 1
    assert noise.std() > 0.1
    assert np.abs(np.diff(noise, axis=1)).max() < 0.25
    rough = gradient_noise(60, 90, cell_px=2, rng=np.random.default_rng(0))
    assert np.abs(np.diff(rough, axis=1)).mean() > 3 * np.abs(np.diff(noise, axis=1)).mean()


def test_noise_crosses_cells_without_a_step() -> None:
    noise = gradient_noise(200, 8, cell_px=20, rng=np.random.default_rng(3))
    steps = np.abs(np.diff(noise, axis=0)).max(axis=1)
    at_borders = steps[19::20]
    assert at_borders.max() <= 1.5 * steps.max()
    assert steps.max() < 0.15


@pytest.mark.parametrize(
    ("image", "kind", "words"),
    [
        (np.zeros((64, 80), np.uint8), "blotch", "height, width, 3"),
        (np.zeros((64, 80, 3), np.float32), "blotch", "uint8"),
        (np.zeros((20, 80, 3), np.uint8), "scratch", "at least 32"),
        (np.zeros((64, 80, 3), np.uint8), "dent", "no synthetic defect 'dent'"),
    ],
)
def test_what_cannot_be_drawn_on(image: UInt8Array, kind: str, words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        make_defect(image, kind, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
def test_grey_pictures_stay_grey(kind: str) -> None:
    for seed in range(5):
        made = make_defect(images.part_pixels(seed), kind, rng=np.random.default_rng(seed)).image
        assert np.ptp(made, axis=2).max() <= 1
