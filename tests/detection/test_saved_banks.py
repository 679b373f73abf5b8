from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.manifest import ArtifactError
from detection.model import Model, save_model
from detection.patchcore import PatchCore
from detection.protocol import DetectionError, DetectorState
from detection.saved_banks import check_state, read_provenance
from tests import images


def state_of(model: Model) -> DetectorState:
    """The fitted state, with its own dicts to change."""
    state = model.detector.to_artifact()
    config = dict(state.config)
    return DetectorState(
        state.method, config, {name: dict(part) for name, part in state.tensors.items()}
    )


def test_every_bank_vector_says_where_it_was_seen(small_model: Model, tmp_path: Path) -> None:
    save_model(small_model, tmp_path / "model")
    detector = small_model.detector
    assert isinstance(detector, PatchCore)
    banks = read_provenance(tmp_path / "model")
    assert [bank.part for bank in banks] == [f"scorer{number}.safetensors" for number in range(3)]
    assert [len(bank) for bank in banks] == [150, 38, 150]  # the finest view takes a quarter
    for bank, scorer in zip(banks, detector.scorers_, strict=True):
        assert len(bank) == len(scorer.places)
        for vector in (0, 7, len(bank) - 1):
            image, row, column = scorer.places[vector]
            assert bank[vector] == (detector.ids_[image], row, column)


def test_the_explanation_of_a_score_is_a_place_of_the_provenance(
    small_model: Model, tmp_path: Path
) -> None:
    save_model(small_model, tmp_path / "model")
    banks = read_provenance(tmp_path / "model")
    explanation = small_model.score(images.part_pixels(70, height=160, width=224)).explanation
    assert explanation is not None
    places = {
        (bank.ids[image], *centre)
        for bank in banks
        for image, centre in zip(bank.images, bank.centres_xy.tolist(), strict=True)
    }
    assert (explanation.normal_id, *explanation.normal_place_xy) in places


def test_a_method_without_a_bank_has_no_provenance(small_model: Model, tmp_path: Path) -> None:
    save_model(replace(small_model, detector=_OtherMethod(small_model)), tmp_path / "model")
    with pytest.raises(DetectionError, match="keep no provenance"):
        read_provenance(tmp_path / "model")


class _OtherMethod(PatchCore):
    def __init__(self, model: Model) -> None:
        self.model = model

    def to_artifact(self) -> DetectorState:
        state = self.model.detector.to_artifact()
        return DetectorState("other", state.config, {"images": state.tensors["images"]})


def test_a_fitted_state_fits(small_model: Model) -> None:
    state = state_of(small_model)
    check_state(state)
    assert set(state.tensors) == {"images", "scorer0", "scorer1", "scorer2", "backbone"}


WRONG: dict[str, tuple[str, str, Any, str]] = {
    "bank of one dimension": ("scorer0", "bank", np.zeros(9, np.float32), "shape"),
    "bank without rows": ("scorer0", "bank", np.zeros((0, 9), np.float32), "shape"),
    "bank of whole numbers": ("scorer0", "bank", np.zeros((150, 9), np.int32), "type int32"),
    "no mean": ("scorer1", "whitening_mean", None, "is missing"),
    "short mean": ("scorer1", "whitening_mean", np.zeros(3, np.float32), "whitening_matrix"),
    "short usual": ("scorer0", "usual", np.zeros(3, np.float32), "shape"),
    "no spread": ("scorer0", "spread", np.zeros(150, np.float32), "not above 0"),
    "places of two": ("scorer0", "places", np.zeros((150, 2), np.int64), "shape"),
    "negative places": ("scorer0", "places", np.full((150, 3), -1), "below 0"),
    "images beyond": ("scorer0", "places", np.full((150, 3), 10**12), "do not exist"),
    "cells beyond": ("scorer0", "places", np.tile([0, 0, 99], (150, 1)), "do not exist"),
    "sizes of none": ("images", "sizes_hw", np.zeros((16, 2), np.int64), "below 1"),
    "sizes of others": ("images", "sizes_hw", np.ones((3, 2), np.int64), "shape"),
    "grids of others": ("scorer2", "grids_hw", np.ones((3, 2), np.int64), "shape"),
    "grids of none": ("scorer1", "grids_hw", np.zeros((16, 2), np.int64), "below 1"),
    "no usual scores": ("images", "usual_centre", None, "is missing"),
    "usual scores of two": ("images", "usual_centre", np.zeros(2), "shape"),
    "scores without scale": ("images", "usual_scale", np.zeros(3), "not above 0"),
    "words for a graph": ("backbone", "xml", np.zeros(5, np.float32), "type float32"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_arrays_that_do_not_fit_are_named(small_model: Model, name: str) -> None:
    part, array, values, words = WRONG[name]
    state = state_of(small_model)
    arrays: dict[str, Any] = dict(state.tensors[part])
    if values is None:
        del arrays[array]
    else:
        arrays[array] = values
    changed = DetectorState(state.method, state.config, {**state.tensors, part: arrays})
    with pytest.raises(ArtifactError, match=rf"{part}\.safetensors: .*{words}"):
        check_state(changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ids", []), ("ids", None), ("ids", [1, 2]), ("scorers", []), ("scorers", None)],
)
def test_a_description_without_images_or_scorers_is_refused(
    small_model: Model, field: str, value: Any
) -> None:
    state = state_of(small_model)
    changed = DetectorState(state.method, {**state.config, field: value}, state.tensors)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        check_state(changed)


def test_a_missing_scorer_is_named(small_model: Model) -> None:
    state = state_of(small_model)
    rest = {name: part for name, part in state.tensors.items() if name != "scorer1"}
    with pytest.raises(ArtifactError, match=r"scorer1\.safetensors: is missing"):
        check_state(DetectorState(state.method, state.config, rest))
