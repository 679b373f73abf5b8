import json

import numpy as np
import pytest
from scipy import ndimage

from detection.health import HealthReference, measure_health
from detection.protocol import DetectionError, UInt8Array

HEIGHT, WIDTH = 240, 320


def picture(seed: int, *, dx: float = 0, dy: float = 0, gain: float = 1.0) -> UInt8Array:
    """One scene of soft blobs and edges, seen with another noise and light each time."""
    scene = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(HEIGHT, WIDTH)), 4)
    scene = 120 + 500 * scene + 30 * (scene > 0)
    rng = np.random.default_rng([seed, 3])
    moved = ndimage.shift(scene, (dy, dx), order=1, mode="reflect")
    grey = gain * (moved + rng.normal(0, 2, scene.shape) + rng.uniform(-3, 3))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def reference() -> HealthReference:
    return HealthReference.fit([picture(seed) for seed in range(12)])


def test_measures_by_hand() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 200
    health = measure_health(image)
    assert health.brightness == 100
    assert health.contrast == 100
    # One step of 200 in each row of 59 steps, none in columns: sqrt(200**2 / 59 / 2) = 18.4.
    assert health.sharpness == pytest.approx(18.41, abs=0.01)
    assert health.shift_px is None
    assert (health.width, health.height) == (60, 40)


def test_healthy_images_have_no_reasons(reference: HealthReference) -> None:
    for seed in range(100, 120):
        assert reference.reasons(measure_health(picture(seed), reference)) == []


@pytest.mark.parametrize(("dx", "dy"), [(12, 0), (0, -9), (-20, 16), (3, 2)])
def test_shift_is_measured_in_image_pixels(
    reference: HealthReference, dx: float, dy: float
) -> None:
    health = measure_health(picture(50, dx=dx, dy=dy), reference)
    assert health.shift_px == pytest.approx(np.hypot(dx, dy), abs=1.0)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (picture(60, gain=0.35), "too dark: brightness 4"),
        (picture(60, gain=2.0), "too bright: brightness"),
        (picture(60, dx=40), "not at its place: shifted by 40 pixels, usual up to"),
        (picture(60)[:, :-10], "wrong size: 310 x 240 pixels, usual 320 x 240"),
    ],
)
def test_unhealthy_images_say_why(
    reference: HealthReference, image: UInt8Array, words: str
) -> None:
    reasons = reference.reasons(measure_health(image, reference))
    assert reasons[0].startswith(words)


def test_blur_is_out_of_focus(reference: HealthReference) -> None:
    blurred = ndimage.gaussian_filter(picture(61), (3, 3, 0))
    reasons = reference.reasons(measure_health(blurred, reference))
    assert any(reason.startswith("out of focus: sharpness") for reason in reasons)


def test_another_scene_is_not_at_its_place(reference: HealthReference) -> None:
    rng = np.random.default_rng(1)
    blobs = ndimage.gaussian_filter(rng.normal(0, 1, (HEIGHT, WIDTH)), 4)
    other = 120 + 500 * blobs + 30 * (blobs > 0) + rng.normal(0, 2, blobs.shape)
    image = np.repeat(np.clip(other, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    (reason,) = reference.reasons(measure_health(image, reference))
    assert reason.startswith("not at its place")


def test_sharpness_does_not_depend_on_the_lamp() -> None:
    bright, dark = measure_health(picture(1)), measure_health(picture(1, gain=0.6))
    assert dark.brightness < 0.65 * bright.brightness
    assert dark.sharpness == pytest.approx(bright.sharpness, rel=0.05)


def test_place_is_not_watched_at_any_angle() -> None:
    reference = HealthReference.fit([picture(seed) for seed in range(3)], watch_place=False)
    health = measure_health(picture(9, dx=60), reference)
    assert health.shift_px is None
    assert reference.reasons(health) == []


def test_images_of_many_sizes_have_no_place_and_no_size() -> None:
    reference = HealthReference.fit([picture(0), picture(1)[:, :-8]])
    assert reference.size is None
    assert reference.shift is None
    assert reference.reasons(measure_health(picture(3)[:-20], reference)) == []


def test_json_round_trip_gives_the_same_verdicts(reference: HealthReference) -> None:
    back = HealthReference.from_json(json.loads(json.dumps(reference.to_json())))
    image = picture(70, dx=30)
    before, after = measure_health(image, reference), measure_health(image, back)
    assert after.shift_px == pytest.approx(before.shift_px, abs=0.2)
    assert back.brightness == reference.brightness
    assert [reason[:20] for reason in back.reasons(after)] == [
        reason[:20] for reason in reference.reasons(before)
    ]


def test_no_reference_images_is_an_error() -> None:
    with pytest.raises(DetectionError, match="at least one"):
        HealthReference.fit([])
