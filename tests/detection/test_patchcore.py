from collections.abc import Iterator

import numpy as np
import pytest

from detection.backbones.graphs import convert
from detection.patchcore import PatchCore, PatchCoreConfig, image_score, to_image_size
from detection.protocol import DetectionError, Detector, UInt8Array
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


@pytest.fixture(scope="module")
def detector() -> PatchCore:
    return fit(Parts(range(8)))


def test_image_score_by_hand() -> None:
    cells = np.arange(100, dtype=np.float32).reshape(4, 25)
    assert image_score(cells, keep=0.03) == 98.0
    assert image_score(cells, keep=0.001) == 99.0
    assert image_score(cells, keep=1.0) == 49.5
    with pytest.raises(ValueError, match="keep"):
        image_score(cells, keep=0.0)
    with pytest.raises(ValueError, match="cells"):
        image_score(cells[:0])


def test_map_has_image_size_and_keeps_places() -> None:
    cells = np.zeros((4, 6), np.float32)
    cells[1, 4] = 3.0
    heat = to_image_size(cells, (80, 240))
    assert heat.shape == (80, 240)
    assert heat.dtype == np.float32
    row, col = divmod(int(heat.argmax()), 240)
    assert (row // 20, col // 40) == (1, 4)


def test_defect_scores_higher_and_heat_lies_on_it(detector: PatchCore) -> None:
    assert isinstance(detector, Detector)
    normal = [scored.score for scored in detector.score(Parts(range(100, 106)))]
    for seed, scored in zip(
        range(200, 206), detector.score(Parts(range(200, 206), defect=True)), strict=True
    ):
        assert scored.score > max(normal)
        assert scored.map.shape == (160, 224)
        mask = images.spot_mask(seed, height=160, width=224)
        assert scored.map[mask].mean() > 1.5 * scored.map[~mask].mean()
        assert scored.explanation is not None
        rows, cols = np.nonzero(mask)
        x, y = scored.explanation.place_xy
        assert np.hypot(x - cols.mean(), y - rows.mean()) < 40
        assert scored.explanation.distance > 0
        assert scored.embedding.shape == (344,)


def test_explanation_names_the_very_patch(detector: PatchCore) -> None:
    source = Parts(range(8))
    for number, scored in enumerate(detector.score_left_out(source)):
        assert scored.explanation is not None
        assert scored.explanation.normal_id in {f"id-{i}" for i in range(8)} - {f"id-{number}"}
        x, y = scored.explanation.normal_place_xy
        assert 0 < x < 224
        assert 0 < y < 160


def test_same_seed_same_bytes(detector: PatchCore) -> None:
    convert.cache_clear()  # the network is converted anew, too
    ours, again = detector.to_artifact(), fit(Parts(range(8))).to_artifact()
    assert ours.config == again.config
    for part, tensors in ours.tensors.items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, again.tensors[part][name], err_msg=name)


def test_threads_change_nothing_but_the_time(detector: PatchCore) -> None:
    several = fit(Parts(range(8)), threads=3)
    for part, tensors in detector.to_artifact().tensors.items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(
                tensor, several.to_artifact().tensors[part][name], err_msg=name
            )
    source = Parts([30, 31, 32, 33])
    for ours, theirs in zip(detector.score(source), several.score(source), strict=True):
        assert ours.score == theirs.score
        np.testing.assert_array_equal(ours.map, theirs.map)


def test_fit_walks_the_images_once() -> None:
    source = Parts(range(4))
    fit(source)
    assert source.walks == 1


def test_images_of_many_sizes() -> None:
    mixed = Given(
        *(images.part_pixels(s, height=100 + 20 * s, width=260 - 30 * s) for s in range(5))
    )
    detector = fit(mixed)
    sizes = [scored.map.shape for scored in detector.score(mixed)]
    assert sizes == [image.shape[:2] for image in mixed]


def test_what_lies_outside_the_region_of_interest_does_not_count() -> None:
    left = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    detector = fit(Parts(range(6)), region_of_interest=left)
    clean = images.part_pixels(50, height=160, width=224)
    for columns, matters in ((slice(170, 215), False), (slice(20, 65), True)):
        spoiled = clean.copy()
        spoiled[60:100, columns] = [250, 20, 200]
        before, after = detector.score(Given(clean, spoiled))
        assert (after.score > 1.2 * before.score) == matters
        assert not after.grid[:, after.grid.shape[1] // 2 :].any()
    assert (detector.scorers_[0].places[:, 2] < 7).all()


def test_torch_and_openvino_give_the_same_scores(detector: PatchCore) -> None:
    reference = fit(Parts(range(8)), engine="torch")
    source = Parts([30], defect=True)
    fast, slow = next(detector.score(source)), next(reference.score(source))
    assert reference.reader_.engine.name == "torch"
    assert fast.score == pytest.approx(slow.score, rel=0.02)  # a pick of the bank may differ


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


@pytest.mark.parametrize(
    "config",
    [
        {"preset": "huge"},
        {"engine": "abacus"},
        {"top_share": 0.0},
        {"bank_size": 0},
        {"speed": 3},
        {"side": "wide"},
        {"region_of_interest": [[0, 0], [2, 0], [1, 1]]},
    ],
)
def test_says_what_is_wrong_with_the_settings(config: dict[str, object]) -> None:
    with pytest.raises(DetectionError):
        PatchCoreConfig.from_json(config)


def test_config_survives_json() -> None:
    config = PatchCoreConfig(preset="fast", region_of_interest=((0, 0), (1, 0), (0.5, 1)))
    assert PatchCoreConfig.from_json(config.to_json()) == config
