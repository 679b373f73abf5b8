import numpy as np
import pytest

from detection.health import HealthReference, measure_health
from detection.samples import PRODUCTS, SampleProduct, make_part

RING, CLOTH = PRODUCTS["flange-ring"], PRODUCTS["filter-cloth"]
EVERY_VIEW = [(product, view) for product in PRODUCTS.values() for view in product.views]
EVERY_DEFECT = [(product, defect) for product in PRODUCTS.values() for defect in product.defects]


def test_there_is_an_object_and_a_texture_with_all_four_families() -> None:
    assert list(RING.views) == ["face", "bore"]
    assert RING.views["face"].any_angle
    for product in PRODUCTS.values():
        assert set(product.defects.values()) == {
            "structural",
            "surface",
            "contamination",
            "combined",
        }


@pytest.mark.parametrize(("product", "view"), EVERY_VIEW, ids=lambda value: str(value)[:40])
def test_good_part_looks_exposed_and_has_no_mask(product: SampleProduct, view: str) -> None:
    part = make_part(product, seed=3, views=[view])
    image = part.images[view]
    expected = product.views[view]
    assert image.shape == (expected.height, expected.width, 3)
    assert image.dtype == np.uint8
    assert not part.masks[view].any()
    assert part.defect is part.family is None
    assert 50 < image.mean() < 190
    assert (image == 255).mean() < 0.02
    assert (image == 0).mean() < 0.02
    # Sensor noise: even the smoothest blocks of a photograph are not flat.
    blocks = image[:480, :640, 1].reshape(60, 8, 80, 8).std(axis=(1, 3))
    assert np.quantile(blocks, 0.01) > 0.5


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    first, again = make_part(RING, seed=5), make_part(RING, seed=5)
    other = make_part(RING, seed=6)
    for view in RING.views:
        np.testing.assert_array_equal(first.images[view], again.images[view])
        assert (first.images[view] != other.images[view]).mean() > 0.5
    alone = make_part(RING, seed=5, views=["bore"])
    np.testing.assert_array_equal(alone.images["bore"], first.images["bore"])
    assert set(alone.images) == {"bore"}


@pytest.mark.parametrize(("product", "defect"), EVERY_DEFECT, ids=lambda value: str(value)[:30])
def test_defect_changes_the_image_inside_its_mask_and_little_outside(
    product: SampleProduct, defect: str
) -> None:
    view = next(iter(product.views))
    inside, outside, shown = [], [], 0
    for seed in range(3):
        bad = make_part(product, seed=seed, defect=defect, views=[view])
        good = make_part(product, seed=seed, views=[view])
        mask = bad.masks[view]
        assert bad.family == product.defects[defect]
        assert mask.shape == bad.images[view].shape[:2]
        assert mask.mean() < 0.06
        if not mask.any():
            continue
        shown += 1
        change = np.abs(bad.images[view].astype(int) - good.images[view]).mean(axis=2)
        inside.append(change[mask].mean())
        outside.append(change[~mask].mean())
    assert shown >= 2
    assert np.median(inside) > 6
    assert np.median(outside) < 0.12 * np.median(inside)


def test_close_up_shows_most_defects() -> None:
    shown = [
        bool(make_part(RING, seed=seed, defect="dent", views=["bore"]).masks["bore"].any())
        for seed in range(12)
    ]
    assert 6 <= sum(shown) < 12


def test_lots_differ_more_than_parts_of_a_lot() -> None:
    def tone(seed: int, lot: str) -> float:
        return float(make_part(RING, seed=seed, lot=lot, views=["face"]).images["face"].mean())

    lots = [[tone(seed, lot) for seed in range(3)] for lot in ("0471", "0472", "0475", "0479")]
    assert np.std([np.mean(lot) for lot in lots]) > 0.8
    assert all(np.std(lot) < 6 for lot in lots)


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_good_parts_are_healthy(product: SampleProduct) -> None:
    for view, camera in product.views.items():
        images = [make_part(product, seed=k, views=[view]).images[view] for k in range(5)]
        watch = not camera.any_angle and product is RING
        reference = HealthReference.fit(images, watch_place=watch)
        for seed in range(100, 103):
            image = make_part(product, seed=seed, lot="0480", views=[view]).images[view]
            assert reference.reasons(measure_health(image, reference)) == []
        dark = (images[0] * 0.4).astype(np.uint8)
        assert reference.reasons(measure_health(dark, reference))[0].startswith("too dark")


def test_unknown_defect_or_view_is_refused() -> None:
    with pytest.raises(ValueError, match="has no defect 'rust'"):
        make_part(RING, seed=0, defect="rust")
    with pytest.raises(ValueError, match="has no view 'side'"):
        make_part(CLOTH, seed=0, views=["side"])
