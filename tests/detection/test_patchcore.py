from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from detection import patchcore
from detection.backbones import build_engine
from detection.backbones.graphs import convert
from detection.foreground import foreground_cells
from detection.image_scores import top_mean
from detection.patchcore import PatchCore, to_image_size
from detection.protocol import DetectionError, Detector, Scored, UInt8Array
from detection.recipe import IMAGE_SCORES, PRESETS
from tests import images
from tests.detection.conftest import SMALL, Parts

FAST = {**SMALL, "preset": "fast"}


class Given:
    """A list as a source."""

    def __init__(self, *items: UInt8Array) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[UInt8Array]:
        return iter(self.items)


def fit(source: Parts | Given, **config: object) -> PatchCore:
    ids = [f"id-{number}" for number in range(len(source))]
    detector = PatchCore.from_config({**FAST, **config})
    return detector.fit(source, ids=ids, rng=np.random.default_rng(0))


def reloaded(detector: PatchCore, **config: object) -> PatchCore:
    """The same from its artefact, with other settings of scoring."""
    state = detector.to_artifact()
    return PatchCore.from_artifact(replace(state, config={**state.config, **config}))


def assert_equal_results(ours: Scored, theirs: Scored) -> None:
    assert ours.score == theirs.score
    assert ours.explanation == theirs.explanation
    np.testing.assert_array_equal(ours.map, theirs.map)
    np.testing.assert_array_equal(ours.embedding, theirs.embedding)
    np.testing.assert_array_equal(ours.grid_embeddings, theirs.grid_embeddings)


def assert_equal_states(ours: PatchCore, theirs: PatchCore) -> None:
    mine, other = ours.to_artifact(), theirs.to_artifact()
    assert mine.tensors.keys() == other.tensors.keys()
    for part, tensors in mine.tensors.items():
        assert tensors.keys() == other.tensors[part].keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, other.tensors[part][name], err_msg=name)


@pytest.fixture(scope="module", params=sorted(PRESETS))
def preset(request: pytest.FixtureRequest) -> PatchCore:
    """One detector of every preset."""
    return fit(Parts(range(8)), preset=request.param)


@pytest.fixture(scope="module")
def detector() -> PatchCore:
    """Of the fast preset."""
    return fit(Parts(range(8)))


@pytest.fixture(scope="module")
def of_twenty() -> PatchCore:
    """Of the fast preset and enough images to tell what their scores usually are."""
    return fit(Parts(range(20)))


def test_map_has_image_size_and_keeps_places() -> None:
    cells = np.zeros((4, 6), np.float32)
    cells[1, 4] = 3.0
    heat = to_image_size(cells, (80, 240))
    assert heat.shape == (80, 240)
    assert heat.dtype == np.float32
    row, col = divmod(int(heat.argmax()), 240)
    assert (row // 20, col // 40) == (1, 4)


def test_defect_scores_higher_and_heat_lies_on_it(preset: PatchCore) -> None:
    assert isinstance(preset, Detector)
    normal = [scored.score for scored in preset.score(Parts(range(100, 106)))]
    for seed, scored in zip(
        range(200, 206), preset.score(Parts(range(200, 206), defect=True)), strict=True
    ):
        assert scored.score > max(normal)
        assert scored.map.shape == (160, 224)
        mask = images.spot_mask(seed, height=160, width=224)
        assert scored.map[mask].mean() > scored.map[~mask].mean() + 2.0
        assert scored.explanation is not None
        rows, cols = np.nonzero(mask)
        x, y = scored.explanation.place_xy
        assert np.hypot(x - cols.mean(), y - rows.mean()) < 40
        assert scored.explanation.distance > 0
        assert scored.embedding.shape == (344,)
        assert scored.grid_embeddings.shape == (10, 14, 344)


def test_a_preset_fits_the_banks_it_names(preset: PatchCore) -> None:
    configs = preset.config.scorers
    assert [scorer.config for scorer in preset.scorers_] == list(configs)
    for scorer, config, grids_hw in zip(preset.scorers_, configs, preset.grids_hw_, strict=True):
        assert len(scorer.search.bank) == round(150 * config.bank_share)
        cell = (8, 16, 32)[config.view.grid]
        np.testing.assert_array_equal(grids_hw, [[160 // cell, 224 // cell]] * 8)
    assert preset.standard_.centre.shape == preset.standard_.scale.shape == (len(configs),)


def test_usual_images_score_about_zero(of_twenty: PatchCore) -> None:
    scores = [scored.score for scored in of_twenty.score(Parts(range(300, 312)))]
    # In deviations of normal images; measured 1.3, and 0.4 where forty were fitted.
    assert abs(float(np.median(scores))) < 2.5
    assert min(scores) < max(scores)


def test_explanation_names_a_patch_of_the_bank(preset: PatchCore) -> None:
    known = set()
    for scorer, grids_hw in zip(preset.scorers_, preset.grids_hw_, strict=True):
        for image, row, col in scorer.places.tolist():
            rows, cols = grids_hw[image]
            known.add((f"id-{image}", ((col + 0.5) * 224 / cols, (row + 0.5) * 160 / rows)))
    for scored in preset.score(Parts(range(50, 54), defect=True)):
        assert scored.explanation is not None
        assert (scored.explanation.normal_id, scored.explanation.normal_place_xy) in known


def test_a_fitted_image_left_out_is_odder_than_in_the_bank(preset: PatchCore) -> None:
    inside, left_out = [], []
    for number, image in enumerate(Parts(range(8))):
        views = preset.reader_.read(image).views
        for scorer, view in zip(preset.scorers_, views, strict=True):
            known, alone = scorer.score(view), scorer.score(view, leave_out=number)
            assert (scorer.places[alone.nearest.ravel(), 0] != number).all()
            assert (alone.distances >= known.distances).all()
            inside.append(top_mean(known.cells, keep=0.01))
            left_out.append(top_mean(alone.cells, keep=0.01))
    pairs = list(zip(left_out, inside, strict=True))
    assert all(alone >= known for alone, known in pairs)
    assert sum(alone > known for alone, known in pairs) > len(pairs) / 2


def test_same_seed_same_bytes(detector: PatchCore) -> None:
    convert.cache_clear()  # the network is converted anew, too
    again = fit(Parts(range(8)))
    assert detector.to_artifact().config == again.to_artifact().config
    assert_equal_states(detector, again)


def test_another_seed_draws_another_bank(detector: PatchCore) -> None:
    other = PatchCore.from_config(FAST).fit(Parts(range(8)), rng=np.random.default_rng(1))
    assert not np.array_equal(detector.scorers_[0].places, other.scorers_[0].places)


def test_threads_change_nothing_but_the_time(preset: PatchCore) -> None:
    several = fit(Parts(range(8)), preset=preset.config.preset, threads=3)
    assert_equal_states(preset, several)
    source = Parts([30, 31, 32, 33], defect=True)
    for ours, theirs in zip(preset.score(source), several.score(source), strict=True):
        assert_equal_results(ours, theirs)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_is_loaded_scores_to_the_bit(name: str, engine: str) -> None:
    fitted = fit(Parts(range(4)), preset=name, engine=engine)
    again = reloaded(fitted)
    assert again.reader_.engine.name == engine
    assert again.to_artifact().config == fitted.to_artifact().config
    assert_equal_states(fitted, again)
    mixed = Given(
        images.part_pixels(30, height=192, width=128, defect=True),
        images.part_pixels(31, height=96, width=160),
    )
    for ours, theirs in zip(fitted.score(mixed), again.score(mixed), strict=True):
        assert_equal_results(ours, theirs)


@pytest.mark.parametrize("kind", IMAGE_SCORES)
def test_every_image_score_tells_defects(kind: str) -> None:
    fitted = fit(Parts(range(5)), image_score=kind)
    normal = [scored.score for scored in fitted.score(Parts(range(100, 104)))]
    odd = [scored.score for scored in fitted.score(Parts(range(200, 204), defect=True))]
    assert min(odd) > max(normal)


def test_image_scores_are_those_of_the_cells(detector: PatchCore) -> None:
    source = Parts([40], defect=True)
    found = {
        kind: next(reloaded(detector, image_score=kind).score(source)) for kind in IMAGE_SCORES
    }
    image = next(iter(source))
    features = detector.reader_.read(image)
    results = [
        scorer.score(view) for scorer, view in zip(detector.scorers_, features.views, strict=True)
    ]
    cells = [to_image_size(result.cells, (10, 14)) for result in results]
    joined = np.asarray(np.mean(cells, axis=0), np.float32)
    assert found["max"].score == pytest.approx(joined.max(), rel=1e-6)
    assert found["top_share"].score == pytest.approx(top_mean(joined, keep=0.01), rel=1e-6)
    means = [top_mean(result.cells, keep=0.01) for result in results]
    assert found["standardised"].score == detector.standard_.score(np.array(means))[0]
    largest = float(results[0].distances.max())
    assert 0 < found["reweighted"].score < largest
    for scored in found.values():  # the map is the same, whatever is made of it
        np.testing.assert_array_equal(scored.map, found["max"].map)


def test_fit_walks_the_images_once() -> None:
    source = Parts(range(4))
    fit(source)
    assert source.walks == 1


def test_images_of_many_sizes(preset: PatchCore) -> None:
    mixed = Given(
        *(images.part_pixels(s, height=100 + 20 * s, width=260 - 30 * s) for s in range(5))
    )
    fitted = fit(mixed, preset=preset.config.preset)
    for scored, image, size_hw in zip(
        fitted.score(mixed), mixed, fitted.sizes_hw_.tolist(), strict=True
    ):
        assert scored.map.shape == image.shape[:2] == tuple(size_hw)
        assert scored.explanation is not None
        number = int(scored.explanation.normal_id.removeprefix("id-"))
        x, y = scored.explanation.normal_place_xy
        assert 0 < x < fitted.sizes_hw_[number][1]
        assert 0 < y < fitted.sizes_hw_[number][0]


@pytest.mark.parametrize("count", [2, 5])
def test_few_images_are_enough(count: int, preset: PatchCore) -> None:
    fitted = fit(Parts(range(count)), preset=preset.config.preset)
    normal = [scored.score for scored in fitted.score(Parts(range(100, 104)))]
    odd = [scored.score for scored in fitted.score(Parts(range(200, 204), defect=True))]
    assert np.isfinite([*normal, *odd]).all()
    assert np.median(odd) > max(normal)


@pytest.mark.parametrize("tiles", [[2, 2], "native"])
def test_tiles_are_fitted_and_scored(tiles: object) -> None:
    pictures = [images.part_pixels(seed, height=256, width=352) for seed in range(4)]
    whole = fit(Given(*pictures), side=128)
    tiled = fit(Given(*pictures), side=128, tiles=tiles)
    assert tiled.grids_hw_[0][0].prod() > 3 * whole.grids_hw_[0][0].prod()
    odd = images.part_pixels(70, height=256, width=352, defect=True)
    mask = images.spot_mask(70, height=256, width=352)
    again = reloaded(tiled)
    normal, scored = tiled.score(Given(pictures[0], odd))
    assert scored.score > normal.score
    assert scored.map.shape == (256, 352)
    assert scored.map[mask].mean() > scored.map[~mask].mean() + 2.0
    assert_equal_results(next(again.score(Given(odd))), scored)


def test_what_lies_outside_the_region_of_interest_does_not_count(preset: PatchCore) -> None:
    left = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    fitted = fit(Parts(range(6)), preset=preset.config.preset, region_of_interest=left)
    clean = images.part_pixels(50, height=160, width=224)
    rise = {}
    for name, columns in (("outside", slice(184, 224)), ("inside", slice(20, 60))):
        spoiled = clean.copy()
        spoiled[60:100, columns] = [250, 20, 200]
        before, after = fitted.score(Given(clean, spoiled))
        rise[name] = after.score - before.score
        # Nothing right of the middle but the slope of the cell beside it.
        assert after.map[:, :104].any()
        assert not after.map[:, 128:].any()
    assert rise["inside"] > 10 * abs(rise["outside"])
    for scorer, grids_hw in zip(fitted.scorers_, fitted.grids_hw_, strict=True):
        centres = (scorer.places[:, 2] + 0.5) / grids_hw[scorer.places[:, 0], 1]
        assert (centres <= 0.5).all()


def test_a_region_of_interest_smaller_than_a_coarse_cell_is_looked_at(preset: PatchCore) -> None:
    # One cell of 16 pixels, around (136, 72).
    small = [[0.58, 0.41], [0.63, 0.41], [0.63, 0.49], [0.58, 0.49]]
    fitted = fit(Parts(range(6)), preset=preset.config.preset, region_of_interest=small)
    for scorer, grids_hw in zip(fitted.scorers_, fitted.grids_hw_, strict=True):
        cells = {tuple(place) for place in scorer.places[:, 1:].tolist()}
        rows, cols = grids_hw[0]
        assert len(cells) <= max(1, rows * cols // 140)
        for row, col in cells:
            assert abs((row + 0.5) * 160 / rows - 72) <= 80 / rows
            assert abs((col + 0.5) * 224 / cols - 136) <= 112 / cols
    clean = images.part_pixels(50, height=160, width=224)
    spoiled = clean.copy()
    spoiled[62:82, 126:146] = [250, 20, 200]
    before, after = fitted.score(Given(clean, spoiled))
    assert after.score > before.score
    assert np.isfinite(before.map).all()
    assert not after.map[:, :100].any()


def test_the_background_is_neither_learned_nor_scored_where_it_is_told() -> None:
    source = Parts(range(6))
    plain, masked = fit(source, preset="best"), fit(source, preset="best", foreground=True)
    pictures = list(source)
    on_part = [foreground_cells(picture, (20, 28)) for picture in pictures]
    assert not any(cells.all() for cells in on_part)
    finest = masked.scorers_[1].places
    assert all(on_part[image][row, col] for image, row, col in finest.tolist())
    assert not all(
        on_part[image][row, col] for image, row, col in plain.scorers_[1].places.tolist()
    )
    clean = images.part_pixels(50, height=160, width=224)
    before, after = plain.score(Given(clean)), masked.score(Given(clean))
    assert next(before).map[:16, :16].any()
    scored = next(after)
    assert not scored.map[:16, :16].any()
    assert scored.map[60:100, 60:100].any()
    reference = reloaded(masked)
    assert reference.config.foreground is True
    assert_equal_results(next(reference.score(Given(clean))), scored)


def test_a_part_outside_the_region_of_interest_is_no_error() -> None:
    corner = [[0.0, 0.0], [0.15, 0.0], [0.15, 0.15], [0.0, 0.15]]
    fitted = fit(Parts(range(4)), foreground=True, region_of_interest=corner)
    assert all(scorer.places[:, 1:].max() <= 2 for scorer in fitted.scorers_)
    assert np.isfinite(next(fitted.score(Parts([60]))).score)


def test_torch_and_openvino_give_the_same_scores(of_twenty: PatchCore) -> None:
    reference = fit(Parts(range(20)), engine="torch")
    source = Parts([30], defect=True)
    fast, slow = next(of_twenty.score(source)), next(reference.score(source))
    assert reference.reader_.engine.name == "torch"
    assert fast.score == pytest.approx(slow.score, rel=0.05)  # a pick of the bank may differ


def test_precision_and_device_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    build: Callable[..., Any] = build_engine

    def noting(*spec: Any, **settings: Any) -> Any:
        asked.append(settings)
        return build(*spec, **{**settings, "precision": "f32", "device": "cpu"})

    monkeypatch.setattr(patchcore, "build_engine", noting)
    fitted = fit(Parts(range(2)), precision="bf16", device="cuda:1")
    reloaded(fitted)  # as it was learned, so it is scored
    assert [(one["precision"], one["device"]) for one in asked] == [("bf16", "cuda:1")] * 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"device": "tpu"}, "cpu, cuda"),
        ({"precision": "int4"}, "f32 or bf16"),
        ({"engine": "torch", "precision": "bf16"}, "needs openvino"),
    ],
)
def test_a_device_or_precision_that_is_not_offered_is_refused(
    config: dict[str, str], words: str
) -> None:
    with pytest.raises(DetectionError, match=words):
        fit(Parts(range(2)), **config)


def test_progress_of_several_banks_only_rises() -> None:
    told: list[tuple[int, int, str]] = []
    PatchCore.from_config({**FAST, "preset": "best", "threads": 3}).fit(
        Parts(range(4)), on_progress=lambda *one: told.append(one)
    )
    read = [one for one in told if one[2] == "reading images"]
    assert [one[:2] for one in read] == [(number, 4) for number in range(1, 5)]
    banks = [one for one in told if one[2] != "reading images"]
    assert banks
    assert all(0 <= done <= total for done, total, _ in banks)
    assert all(after[0] >= before[0] for before, after in pairwise(banks))
    assert banks[-1][0] == banks[-1][1]


def test_progress_may_stop_a_fit() -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int, note: str) -> None:
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        PatchCore.from_config(FAST).fit(
            Parts(range(4)), ids=list("abcd"), rng=np.random.default_rng(0), on_progress=stop
        )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Given(), "there are 0"),
        (Parts([1]), "there is 1"),
        (Parts([1, 1, 1]), "the same picture"),
        (Given(*[images.part_pixels(s, height=20, width=90) for s in (1, 2)]), "at least 32"),
        (Given(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)), "uint8"),
    ],
)
def test_says_what_is_wrong_with_the_images(source: Parts | Given, words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        fit(source)
