"""What is held out of a fit, and what is kept of each score."""

from typing import Any

import numpy as np
import pytest

from detection.calibration import (
    FOLDS,
    KIND_IMAGES,
    KIND_LEFT_OUT,
    KIND_LEFT_OUT_LOTS,
    KIND_LOTS,
    Calibration,
    choose_folds,
    choose_held_out,
)
from detection.protocol import DetectionError


def test_whole_lots_are_held_out() -> None:
    groups = [f"lot-{number % 10}" for number in range(100)]
    held_out, kind = choose_held_out(100, groups, rng=np.random.default_rng(0))
    assert (kind, len(held_out)) == (KIND_LOTS, 20)
    chosen = {groups[number] for number in held_out}
    assert len(chosen) == 2
    assert all((group in chosen) == (n in held_out) for n, group in enumerate(groups))


def test_a_dominant_lot_is_learned_not_held_out() -> None:
    groups = ["big"] * 90 + ["small"] * 10
    held_out, kind = choose_held_out(100, groups, rng=np.random.default_rng(0))
    assert kind == KIND_LOTS
    assert held_out.tolist() == list(range(90, 100))


def test_a_share_of_images_without_lots_and_none_of_a_few() -> None:
    held_out, kind = choose_held_out(50, None, rng=np.random.default_rng(0))
    assert (kind, len(set(held_out.tolist()))) == (KIND_IMAGES, 10)
    held_out, kind = choose_held_out(50, ["one"] * 50, rng=np.random.default_rng(0))
    assert kind == KIND_IMAGES
    held_out, kind = choose_held_out(12, None, rng=np.random.default_rng(0))
    assert (kind, len(held_out)) == (KIND_LEFT_OUT, 0)
    _, kind = choose_held_out(2, ["a", "b"], rng=np.random.default_rng(0))
    assert kind == KIND_LEFT_OUT


def test_surprise_by_hand() -> None:
    calibration = Calibration(np.array([1.0, 2.0, 3.0]), KIND_IMAGES)
    assert calibration.surprise(0.0) == 1.0
    assert calibration.surprise(2.0) == 0.75
    assert calibration.surprise(9.0) == 0.25


def test_scores_keep_their_lot_and_their_image() -> None:
    made = Calibration.of(
        [3.0, 1.0, 2.0], KIND_LOTS, groups=["tue", "mon", "tue"], ids=["a", "b", "c"]
    )
    assert made.scores.tolist() == [1.0, 2.0, 3.0]
    assert made.lot_names == ("mon", "tue")
    assert made.lots.tolist() == [0, 1, 1]
    assert made.ids == ("b", "c", "a")
    assert made.groups == 2
    assert Calibration.from_json(made.to_json()).to_json() == made.to_json()


def test_a_new_lot_by_hand() -> None:
    scores = [1, 2, 3, 4, 2, 5, 1, 1.5, 2.5]
    groups = [*"aaaa", *"bb", *"ccc"]
    made = Calibration.of(scores, KIND_LOTS, groups=groups)
    assert made.surprise_of_new_lot(2.5) == pytest.approx(0.583333, abs=1e-6)
    with pytest.raises(DetectionError, match="knows no lots"):
        Calibration.of(scores, KIND_IMAGES).surprise_of_new_lot(2.5)


def test_lots_that_differ_raise_the_first_threshold() -> None:
    rng = np.random.default_rng(5)
    groups = [f"lot {number // 60:02d}" for number in range(1800)]
    alike = Calibration.of(rng.normal(size=1800), KIND_LOTS, groups=groups)
    differing = Calibration.of(
        rng.normal(size=1800) + 0.6 * np.repeat(rng.normal(size=30), 60), KIND_LOTS, groups=groups
    )
    assert 1 <= alike.design_effect < 1.5
    assert differing.design_effect > 2
    plain, careful = alike.first_threshold(), differing.first_threshold()
    assert plain.promise
    assert careful.promise
    assert careful.rank < plain.rank
    assert "30 lots or days, as good as" in careful.sentence
    assert "A single new lot may show more." in careful.sentence


def test_without_lots_no_design_effect() -> None:
    made = Calibration.of(np.arange(400.0), KIND_IMAGES)
    assert (made.groups, made.design_effect) == (0, 1.0)
    assert made.first_threshold().promise


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": []}, "needs scores"),
        ({"scores": [1.0, float("nan")]}, "needs scores"),
        ({"scores": [2.0, 1.0]}, "do not rise"),
        ({"lots": [0]}, "differ in number"),
        ({"ids": ["a"]}, "differ in number"),
        ({"lots": [0, 2]}, "do not fit"),
        ({"lots": [-1, 0]}, "do not fit"),
        ({"lots": None}, "no calibration"),
        ({"scores": ["x", "y"]}, "no calibration"),
    ],
)
def test_damaged_calibrations_are_refused(change: dict[str, Any], words: str) -> None:
    whole = Calibration.of([1.0, 2.0], KIND_LOTS, groups=["a", "b"], ids=["x", "y"]).to_json()
    with pytest.raises(DetectionError, match=words):
        Calibration.from_json({**whole, **change})


def test_numbers_of_things_must_agree() -> None:
    with pytest.raises(DetectionError, match="differ in number"):
        Calibration.of([1.0, 2.0], KIND_LOTS, groups=["a"])
    with pytest.raises(DetectionError, match="differ in number"):
        Calibration.of([1.0, 2.0], KIND_LOTS, ids=["a"])


@pytest.mark.parametrize("count", [3, 4, 5, 17, 40])
def test_every_image_is_left_out_of_one_fit(count: int) -> None:
    parts, kind = choose_folds(count, None, rng=np.random.default_rng(count))
    assert kind == KIND_LEFT_OUT
    assert len(parts) == min(FOLDS, count)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    again, _ = choose_folds(count, None, rng=np.random.default_rng(count))
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))


def test_lots_stay_together_where_the_others_are_enough() -> None:
    groups = [f"lot {number % 7}" for number in range(30)]
    parts, kind = choose_folds(30, groups, rng=np.random.default_rng(0))
    assert kind == KIND_LEFT_OUT_LOTS
    assert sorted(np.concatenate(parts).tolist()) == list(range(30))
    lots = [{groups[number] for number in part} for part in parts]
    assert sum(len(names) for names in lots) == 7
    # Without the large lot there would be one image to learn from.
    parts, kind = choose_folds(4, ["a", "a", "a", "b"], rng=np.random.default_rng(0))
    assert (kind, len(parts)) == (KIND_LEFT_OUT, 4)
    assert choose_folds(9, ["a"] * 9, rng=np.random.default_rng(0))[1] == KIND_LEFT_OUT


def test_folds_need_three_images_and_one_that_may_calibrate() -> None:
    for count in range(3):
        with pytest.raises(DetectionError, match="at least 3 normal images"):
            choose_folds(count, None, rng=np.random.default_rng(0))
    with pytest.raises(DetectionError, match="may calibrate"):
        choose_folds(8, None, rng=np.random.default_rng(0), may_calibrate=np.zeros(8, np.bool_))
