import json

import numpy as np

from detection.backbones import View
from detection.scorers import (
    Scorer,
    ScorerConfig,
    joined_whitening,
    left_out_distances,
    usual_distances,
)
from detection.whitening import Whitening

AS_IT_IS = Whitening(np.zeros(1, np.float32), np.eye(1, dtype=np.float32))


def test_left_out_distances_never_use_the_own_image() -> None:
    vectors = np.array([[0.0], [0.1], [1.0], [1.2]], np.float32)
    images = np.array([0, 0, 1, 1])
    distances, nearest = left_out_distances(
        vectors, images, vectors[[0, 2]], images[[0, 2]], whitening=AS_IT_IS
    )
    np.testing.assert_allclose(distances, [1.0, 0.9, 1.0, 1.2], rtol=1e-6)
    assert nearest.tolist() == [1, 1, 0, 0]


def test_left_out_distances_when_one_image_gave_the_whole_bank() -> None:
    vectors = np.array([[0.0], [3.0]], np.float32)
    distances, _ = left_out_distances(
        vectors, np.array([0, 1]), vectors[:1], np.array([0]), whitening=AS_IT_IS
    )
    np.testing.assert_allclose(distances, [0.0, 3.0])


def test_usual_distances_by_hand() -> None:
    distances = np.array([1.0, 3.0, 5.0, 7.0], np.float32)
    nearest = np.array([0, 0, 1, 1])
    mean, spread = usual_distances(distances, nearest, 3, per_centre=False)
    np.testing.assert_allclose(mean, 4.0)
    np.testing.assert_allclose(spread, np.sqrt(5.0), rtol=1e-6)
    mean, spread = usual_distances(distances, nearest, 3, per_centre=True)
    # Ten usual patches at 4.0 are borrowed: (1 + 3 + 40) / 12, (5 + 7 + 40) / 12, 40 / 10.
    np.testing.assert_allclose(mean, [44 / 12, 52 / 12, 4.0], rtol=1e-6)
    squares = (1 - 44 / 12) ** 2 + (3 - 44 / 12) ** 2
    np.testing.assert_allclose(spread[0], np.sqrt((squares + 50.0) / 12), rtol=1e-6)
    np.testing.assert_allclose(spread[2], np.sqrt(5.0), rtol=1e-6)


def test_usual_distances_without_spread_stay_finite() -> None:
    _, spread = usual_distances(np.zeros(4, np.float32), np.zeros(4, int), 1, per_centre=True)
    assert np.isfinite(spread).all()
    assert (spread > 0).all()


def test_joined_layers_are_whitened_each_by_itself() -> None:
    features = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float16)
    whitening = joined_whitening(features, (2, 3), components=112, shrink=0.01)
    assert whitening.matrix.shape == (5, 5)
    assert not whitening.matrix[:2, 2:].any()
    assert not whitening.matrix[2:, :2].any()


def test_a_strange_patch_stands_out_and_names_its_neighbour() -> None:
    rng = np.random.default_rng(0)
    config = ScorerConfig(View())
    views = [rng.normal(size=(6, 9, 4)).astype(np.float32) for _ in range(8)]
    features = np.concatenate([view.reshape(54, 4) for view in views]).astype(np.float16)
    rows, cols = np.unravel_index(np.tile(np.arange(54), 8), (6, 9))
    places = np.stack([np.repeat(np.arange(8), 54), rows, cols], axis=1).astype(np.int64)
    scorer = Scorer.fit(
        features, places, config=config, layer_widths=(4,), bank_size=100, projection=32, rng=rng
    )
    odd = views[0].copy()
    odd[2, 7] += 30.0
    result = scorer.score(odd)
    assert result.cells.shape == result.distances.shape == result.nearest.shape == (6, 9)
    assert divmod(int(result.cells.argmax()), 9) == (2, 7)
    kept = scorer.places[result.nearest[0, 0]]
    np.testing.assert_allclose(
        scorer.search.bank[result.nearest[0, 0]],
        scorer.whitening.apply(features[kept[0] * 54 + kept[1] * 9 + kept[2]]),
        atol=1e-5,
    )
    alone = scorer.score(views[0], leave_out=0)
    assert (scorer.places[alone.nearest.ravel(), 0] != 0).all()
    assert (alone.distances >= scorer.score(views[0]).distances).all()


def test_a_distance_is_read_against_what_is_usual_where_it_lands() -> None:
    bank = np.array([[0.0, 0.0], [10.0, 0.0]], np.float32)
    scorer = Scorer(
        ScorerConfig(View()),
        whitening=Whitening(np.zeros(2, np.float32), np.eye(2, dtype=np.float32)),
        bank=bank,
        places=np.array([[0, 0, 0], [1, 0, 0]]),
        usual=np.array([1.0, 3.0], np.float32),
        spread=np.array([0.5, 2.0], np.float32),
    )
    result = scorer.score(np.array([[[0.0, 2.0], [10.0, 2.0], [9.0, 0.0]]], np.float32))
    np.testing.assert_array_equal(result.nearest, [[0, 1, 1]])
    np.testing.assert_allclose(result.distances, [[2.0, 2.0, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(result.cells, [[2.0, -0.5, -1.0]], rtol=1e-6)


def test_a_configuration_survives_json() -> None:
    config = ScorerConfig(View((0, 2), 1, 3), bank_share=0.25, per_centre=False, components=7)
    assert ScorerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
