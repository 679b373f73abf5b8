"""Normals that were chosen for their score are learned and never calibrate."""

import numpy as np
import pytest

from detection.calibration import KIND_IMAGES, KIND_LEFT_OUT, KIND_LOTS, choose_held_out
from detection.protocol import DetectionError


def test_only_allowed_images_are_held_out() -> None:
    allowed = np.zeros(60, np.bool_)
    allowed[[3, 8, 20, 41, 50, 59]] = True
    for seed in range(20):
        held, kind = choose_held_out(
            60, None, rng=np.random.default_rng(seed), may_calibrate=allowed
        )
        assert kind == KIND_IMAGES
        assert len(held) == 3  # half of those that may, so that some of them are learned
        assert allowed[held].all()


def test_all_allowed_is_the_same_as_not_said() -> None:
    groups = [f"lot {number // 7}" for number in range(70)]
    for given in (None, groups):
        for seed in range(10):
            plain = choose_held_out(70, given, rng=np.random.default_rng(seed))
            marked = choose_held_out(
                70, given, rng=np.random.default_rng(seed), may_calibrate=np.ones(70, np.bool_)
            )
            np.testing.assert_array_equal(plain[0], marked[0])
            assert plain[1] == marked[1]


def test_a_lot_of_flags_alone_is_never_chosen() -> None:
    groups = ["set-up"] * 15 + ["monday"] * 15 + ["flags"] * 30
    allowed = np.array([group != "flags" for group in groups])
    allowed[0] = False
    for seed in range(20):
        held, kind = choose_held_out(
            60, groups, rng=np.random.default_rng(seed), may_calibrate=allowed
        )
        assert kind == KIND_LOTS
        assert len({groups[index] for index in held}) in (1, 2)
        assert allowed[held].all()
        assert {groups[index] for index in held} <= {"set-up", "monday"}


def test_few_images_calibrate_by_leaving_one_out() -> None:
    held, kind = choose_held_out(
        12, None, rng=np.random.default_rng(0), may_calibrate=np.arange(12) < 5
    )
    assert kind == KIND_LEFT_OUT
    assert len(held) == 0


def test_nothing_to_calibrate_with_is_said() -> None:
    with pytest.raises(DetectionError, match="may calibrate"):
        choose_held_out(
            30, None, rng=np.random.default_rng(0), may_calibrate=np.zeros(30, np.bool_)
        )
