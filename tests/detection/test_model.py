import numpy as np
import pytest

from detection.calibration import (
    KIND_IMAGES,
    KIND_LEFT_OUT,
    KIND_LOTS,
    Calibration,
    choose_held_out,
)
from detection.model import Model, Subset, best_iou_threshold, fit_model, normal_pixel_range
from detection.protocol import DetectionError
from tests import images
from tests.detection.conftest import SMALL, Parts


def test_whole_lots_are_held_out() -> None:
    groups = [f"lot-{number % 10}" for number in range(100)]
    held_out, kind, lots = choose_held_out(100, groups, rng=np.random.default_rng(0))
    assert (kind, lots, len(held_out)) == (KIND_LOTS, 2, 20)
    chosen = {groups[number] for number in held_out}
    assert all((group in chosen) == (n in held_out) for n, group in enumerate(groups))


def test_a_dominant_lot_is_learned_not_held_out() -> None:
    groups = ["big"] * 90 + ["small"] * 10
    held_out, kind, lots = choose_held_out(100, groups, rng=np.random.default_rng(0))
    assert (kind, lots) == (KIND_LOTS, 1)
    assert held_out.tolist() == list(range(90, 100))


def test_a_share_of_images_without_lots_and_none_of_a_few() -> None:
    held_out, kind, lots = choose_held_out(50, None, rng=np.random.default_rng(0))
    assert (kind, lots, len(set(held_out.tolist()))) == (KIND_IMAGES, 0, 10)
    held_out, kind, lots = choose_held_out(50, ["one"] * 50, rng=np.random.default_rng(0))
    assert (kind, lots) == (KIND_IMAGES, 0)
    held_out, kind, lots = choose_held_out(12, None, rng=np.random.default_rng(0))
    assert (kind, lots, len(held_out)) == (KIND_LEFT_OUT, 0, 0)
    _, kind, _ = choose_held_out(2, ["a", "b"], rng=np.random.default_rng(0))
    assert kind == KIND_LEFT_OUT


def test_surprise_by_hand() -> None:
    calibration = Calibration(np.array([1.0, 2.0, 3.0]), KIND_IMAGES, 0)
    assert calibration.surprise(0.0) == 1.0
    assert calibration.surprise(2.0) == 0.75
    assert calibration.surprise(9.0) == 0.25


def test_pixel_range_of_normals() -> None:
    pixels = np.linspace(0, 1000, 10_001).astype(np.float32)
    threshold, top = normal_pixel_range(pixels)
    assert threshold == pytest.approx(999.5, abs=0.05)
    assert top == pytest.approx(999.5 + 499.5, abs=0.1)
    threshold, top = normal_pixel_range(np.full(10, 2.0, np.float32))
    assert threshold == 2.0
    assert top > threshold


def test_best_iou_threshold_by_hand() -> None:
    heat = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    mask = np.array([[False, False, False], [False, True, True]])
    assert best_iou_threshold(iter([heat]), [mask]) == 4.5
    mask[0, 0] = True  # taking in all of it would cost more than it gains
    assert best_iou_threshold(iter([heat]), [mask]) == 4.5
    with pytest.raises(DetectionError, match="No mask"):
        best_iou_threshold(iter([heat]), [None])


def test_subset_walks_in_order() -> None:
    parts = Parts(range(6))
    chosen = list(Subset(parts, np.array([1, 2, 5])))
    for seed, image in zip((1, 2, 5), chosen, strict=True):
        np.testing.assert_array_equal(image, images.part_pixels(seed, height=160, width=224))


def test_model_holds_out_and_scores(small_model: Model) -> None:
    assert small_model.calibration.kind == KIND_IMAGES
    assert len(small_model.calibration.scores) == 4
    assert (np.diff(small_model.calibration.scores) >= 0).all()
    low, high = small_model.heat_range
    assert low == small_model.pixel_threshold < high
    result = small_model.score(images.part_pixels(77, height=160, width=224, defect=True))
    assert result.surprise == pytest.approx(1 / 5)
    assert result.map.shape == (160, 224)
    assert result.regions
    left, top, right, bottom = result.regions[0].box_xyxy
    rows, cols = np.nonzero(images.spot_mask(77, height=160, width=224))
    assert left < cols.mean() < right
    assert top < rows.mean() < bottom
    assert result.region_embedding is not None
    assert result.region_embedding.shape == result.embedding.shape
    assert not np.allclose(result.region_embedding, result.embedding)


def test_normal_image_is_no_surprise(small_model: Model) -> None:
    surprises = [result.surprise for result in small_model.score_many(Parts(range(300, 310)))]
    assert max(surprises) > 0.3


def test_threshold_from_masks(small_model: Model) -> None:
    parts = Parts(range(400, 404), defect=True)
    masks = [images.spot_mask(seed, height=160, width=224) for seed in parts.seeds]
    better = small_model.with_best_pixel_threshold(parts, masks)

    def iou(threshold: float) -> float:
        hot = [scored.map > threshold for scored in small_model.detector.score(parts)]
        both = sum(int((h & m).sum()) for h, m in zip(hot, masks, strict=True))
        return both / sum(int((h | m).sum()) for h, m in zip(hot, masks, strict=True))

    assert iou(better.pixel_threshold) >= iou(small_model.pixel_threshold)
    assert better.heat_range[0] == better.pixel_threshold


def test_few_images_are_each_left_out() -> None:
    notes: list[str] = []
    model = fit_model(
        Parts(range(5)),
        ids=list("abcde"),
        config={**SMALL, "preset": "fast"},
        on_progress=lambda done, total, note: notes.append(note),
    )
    assert model.calibration.kind == KIND_LEFT_OUT
    assert len(model.calibration.scores) == 5
    assert {"reading images", "calibrating"} <= set(notes)


def test_lots_reach_the_calibration() -> None:
    groups = ["monday", "monday", "tuesday", "monday", "monday"]
    model = fit_model(
        Parts(range(5)), ids=list("abcde"), groups=groups, config={**SMALL, "preset": "fast"}
    )
    assert (model.calibration.kind, model.calibration.groups) == (KIND_LOTS, 1)
    assert len(model.calibration.scores) == 1


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"ids": ["a"]}, "as many ids"),
        ({"ids": ["a", "b"], "groups": ["x"]}, "as many ids"),
        ({"ids": ["a", "b"], "method": "magic"}, "no method 'magic'"),
        ({"ids": ["a", "b"], "config": {"sped": 1}}, "sped"),
    ],
)
def test_says_what_is_wrong(kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        fit_model(Parts(range(2)), **kwargs)  # type: ignore[arg-type]
