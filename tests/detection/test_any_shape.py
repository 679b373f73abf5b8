"""Parts at any angle and tall narrow pictures: the default recipe on generated samples."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from detection.metrics import auroc
from detection.model import Model, fit_model
from detection.protocol import BoolArray, UInt8Array
from detection.samples import PRODUCTS, make_part

# Everything else stands at its default; small banks, so that both fits take seconds.
SMALL = {"bank_size": 1_000, "candidates": 20_000}
RING, CLOTH = PRODUCTS["flange-ring"], PRODUCTS["filter-cloth"]
STRIP_HW = (512, 64)
PLAIN_ON_RINGS = ("missing_hole", "stain", "combined")
PLAIN_ON_CLOTH = ("missing_yarn", "hole", "fibre", "combined")


class Shown:
    """Images made when they are walked, with where their defects are."""

    def __init__(self, seeds: Sequence[int], defects: Sequence[str] = ()) -> None:
        self.seeds = list(seeds)
        self.defects = list(defects)

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[UInt8Array]:
        for image, _ in self.pairs():
            yield image

    def pairs(self) -> Iterator[tuple[UInt8Array, BoolArray]]:
        """Image and mask of each part; defects in turn where there are any."""
        for at, seed in enumerate(self.seeds):
            yield self.picture(seed, self.kind(at))

    def kind(self, at: int) -> str | None:
        """The defect of the part at a place; None for a good one."""
        return self.defects[at % len(self.defects)] if self.defects else None

    def picture(self, seed: int, defect: str | None) -> tuple[UInt8Array, BoolArray]:
        raise NotImplementedError


class Rings(Shown):
    """The ring as it fell, ``(560, 640, 3)``."""

    def picture(self, seed: int, defect: str | None) -> tuple[UInt8Array, BoolArray]:
        part = make_part(RING, seed=seed, defect=defect, views=["face"])
        return part.images["face"][40:600], part.masks["face"][40:600]


class Strips(Shown):
    """A tall narrow strip of the cloth, moved to where its defect is."""

    def picture(self, seed: int, defect: str | None) -> tuple[UInt8Array, BoolArray]:
        part = make_part(CLOTH, seed=seed, defect=defect)
        image, mask = part.images["top"], part.masks["top"]
        width = STRIP_HW[1]
        marked = np.flatnonzero(mask.any(axis=0))
        middle = int(np.median(marked)) if marked.size else 97 * seed % image.shape[1]
        left = int(np.clip(middle - width // 2, 0, image.shape[1] - width))
        return image[:, left : left + width].copy(), mask[:, left : left + width].copy()


def fitted(normals: Shown) -> Model:
    return fit_model(
        normals, ids=[f"normal-{seed}" for seed in normals.seeds], config=SMALL, seed=1
    )


def all_scores(model: Model, normals: Shown, odd: Shown) -> tuple[list[float], list[bool]]:
    """Scores of both, and which of them are defects."""
    scores = [result.score for source in (normals, odd) for result in model.score_many(source)]
    return scores, [False] * len(normals) + [True] * len(odd)


@pytest.fixture(scope="module")
def ring_model() -> Model:
    return fitted(Rings(range(30)))


@pytest.fixture(scope="module")
def strip_model() -> Model:
    return fitted(Strips(range(40)))


def test_rings_at_any_angle(ring_model: Model) -> None:
    kinds = list(RING.defects)
    odd = Rings(range(2_000, 2_000 + 2 * len(kinds)), kinds)
    scores, is_defect = all_scores(ring_model, Rings(range(1_000, 1_012)), odd)
    # Chips and dents of a few pixels are among them: far below 1 for any recipe so far.
    every = auroc(scores, is_defect)
    assert every is not None
    assert every > 0.65
    # Defects that anybody sees.
    plain = [12 + at for at in range(len(odd)) if odd.kind(at) in PLAIN_ON_RINGS]
    chosen = [*range(12), *plain]
    clear = auroc([scores[at] for at in chosen], [is_defect[at] for at in chosen])
    assert clear is not None
    assert clear > 0.93


def test_heat_lies_on_what_is_missing_from_a_turned_ring(ring_model: Model) -> None:
    odd = Rings(range(3_000, 3_006), ["missing_hole"])
    for result, (_, mask) in zip(ring_model.score_many(odd), odd.pairs(), strict=True):
        assert result.map.shape == (560, 640)
        assert mask.any()
        assert result.map[mask].mean() > result.map[~mask].mean() + result.map[~mask].std()


def test_tall_strips(strip_model: Model) -> None:
    kinds = list(CLOTH.defects)
    odd = Strips(range(2_000, 2_000 + 2 * len(kinds)), kinds)
    scores, is_defect = all_scores(strip_model, Strips(range(1_000, 1_012)), odd)
    # Stains of a few per cent in tone are among them.
    every = auroc(scores, is_defect)
    assert every is not None
    assert every > 0.7
    # Measured 1.00.
    plain = [12 + at for at in range(len(odd)) if odd.kind(at) in PLAIN_ON_CLOTH]
    chosen = [*range(12), *plain]
    clear = auroc([scores[at] for at in chosen], [is_defect[at] for at in chosen])
    assert clear is not None
    assert clear > 0.93


def test_results_of_tall_strips_lie_inside_the_pictures(strip_model: Model) -> None:
    odd = Strips(range(3_000, 3_006), ["hole", "fibre"])
    height, width = STRIP_HW
    for result, (image, mask) in zip(strip_model.score_many(odd), odd.pairs(), strict=True):
        assert image.shape == (height, width, 3)
        assert result.map.shape == (height, width)
        assert result.map[mask].mean() > result.map[~mask].mean() + result.map[~mask].std()
        assert result.explanation is not None
        assert result.explanation.normal_id in {f"normal-{seed}" for seed in range(40)}
        places = (result.explanation.place_xy, result.explanation.normal_place_xy)
        for x, y in places:
            assert 0 < x < width
            assert 0 < y < height
        for region in result.regions:
            left, top, right, bottom = region.box_xyxy
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


@pytest.mark.parametrize("size_hw", [(480, 64), (512, 96), (64, 512)])
def test_strips_of_other_sizes_are_scored(strip_model: Model, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    image = make_part(CLOTH, seed=1_500).images["top"][:height, :width].copy()
    result = strip_model.score(image)
    assert result.map.shape == size_hw
    assert np.isfinite(result.map).all()
    assert np.isfinite(result.score)
    assert result.explanation is not None
    x, y = result.explanation.normal_place_xy
    assert 0 < x < STRIP_HW[1]
    assert 0 < y < STRIP_HW[0]
