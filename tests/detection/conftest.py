"""A small real model, fitted once for all tests of the vision core that need one."""

from collections.abc import Iterator, Sequence

import pytest

from detection.model import Model, fit_model
from tests import images

SMALL = {"bank_size": 150, "candidates": 4_000}


class Parts:
    """Synthetic parts as a source: walked, never indexed, like files."""

    def __init__(self, seeds: Sequence[int], *, defect: bool = False) -> None:
        self.seeds = list(seeds)
        self.defect = defect
        self.walks = 0

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[images.UInt8Array]:
        self.walks += 1
        for seed in self.seeds:
            yield images.part_pixels(seed, height=160, width=224, defect=self.defect)


@pytest.fixture(scope="session")
def small_model() -> Model:
    """Fitted on 20 parts of 160 x 224 pixels, four of them held out."""
    parts = Parts(range(20))
    return fit_model(parts, ids=[f"part-{seed}" for seed in parts.seeds], config=SMALL, seed=3)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what commands cache out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
