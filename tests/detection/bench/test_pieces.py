import sys
import time
from pathlib import Path

import numpy as np
import pytest

from detection.bench import QUICK
from detection.bench.children import Workplace
from detection.bench.coreset import coreset_figure, plain_picks
from detection.bench.limits import Limits
from detection.bench.peers import peer_figure, peer_ratios
from detection.bench.pictures import Pictures, encoded, write_pngs
from detection.bench.plan import Plan
from detection.bench.search import search_figure
from detection.bench.stages import stage_of, stage_times_s
from detection.bench.vectors import drawn_set, real_sets
from detection.decoding import decode_image
from detection.features import resize
from detection.protocol import DetectionError
from detection.search import available_kinds
from tests import images

TINY = Plan(
    coreset_rows=1_600, reference_picks=30, queries=50, search_rows=100, rounds=2,
    score_bank=120, score_side=96, peer_picks=5,
)  # fmt: skip
LIMITS = Limits(gemm_f32_gflops=100.0, gemm_bf16_gflops=None, copy_gb_per_s=10.0)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, {})


def test_plain_picks_by_hand() -> None:
    line = np.array([[0.0], [1.0], [9.0], [5.0]], np.float32)
    assert plain_picks(line, 4, first=1).tolist() == [1, 2, 3, 0]


def test_coreset_and_search_figures() -> None:
    vectors = drawn_set("easy", TINY)
    figure, chosen = coreset_figure(vectors, TINY, LIMITS)
    assert figure["picks"] == 160
    assert figure["first_picks_equal"]
    assert figure["first_picks_compared"] == 30
    assert figure["plain_gemm_floor_seconds"] == pytest.approx(2 * 1_600 * 160 * 152 / 1e11)
    found = search_figure(vectors.normals[chosen.picks[:100]], vectors.queries, TINY, LIMITS)
    assert set(found["kinds"]) == set(available_kinds())
    assert all(kind["same_bits_as_first_kind"] for kind in found["kinds"].values())
    assert found["chosen_ms"] == found["kinds"][found["chosen_kind"]]["ms"]


def test_drawn_sets_are_what_their_names_say() -> None:
    easy, hard = drawn_set("easy", TINY), drawn_set("hard", TINY)
    np.testing.assert_array_equal(easy.normals, drawn_set("easy", TINY).normals)

    def directions(vectors: np.ndarray) -> float:
        variances = np.linalg.eigvalsh(np.cov(vectors.T))
        return float(variances.sum() ** 2 / (variances**2).sum())

    assert 10 * directions(easy.normals) < directions(hard.normals)


def test_real_sets_come_from_a_folder(tmp_path: Path) -> None:
    for number in range(2):
        pixels = images.part_pixels(number, height=240, width=320)
        (tmp_path / f"{number}.png").write_bytes(images.encode(pixels))
    raw, white = real_sets(tmp_path, TINY, cache=None)
    assert raw.normals.shape == white.normals.shape == (1_600, 152)
    assert raw.queries.shape == (784, 152)
    # The second turn around the folder is mirrored, so no image comes twice as it is.
    assert not np.array_equal(raw.normals[:784], raw.normals[784:1568])
    (tmp_path / "1.png").unlink()
    with pytest.raises(DetectionError, match="at least two"):
        real_sets(tmp_path, TINY, cache=None)


def test_pictures_are_the_same_every_time_and_differ(tmp_path: Path) -> None:
    pictures = Pictures(3, 100)
    np.testing.assert_array_equal(pictures[1], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])
    write_pngs(pictures, tmp_path / "out")
    for path, image in zip(sorted((tmp_path / "out").iterdir()), pictures, strict=True):
        np.testing.assert_array_equal(decode_image(path), image)
    with pytest.raises(IndexError):
        pictures[3]
    with pytest.raises(DetectionError, match="PNG or JPEG"):
        encoded(pictures[0], "GIF")
    enlarged = Pictures(4, 700, directory=tmp_path / "out")
    assert enlarged[0].shape == (700, 700, 3)
    assert not np.array_equal(enlarged[0], enlarged[3])  # the first again, turned and noisy


def test_stages_belong_to_the_innermost_function_of_the_core() -> None:
    data = images.encode(images.part_pixels(height=480, width=640))

    def work() -> None:
        resize(decode_image(data), (32, 64))
        time.sleep(0.02)

    stages = stage_times_s(work)
    assert set(stages) == {"decode", "resize", "other"}
    assert stages["other"] >= 0.02
    assert sys.getprofile() is None
    assert stage_of("search/blocked.py", "candidates") == "search"
    assert stage_of("features.py", "read") == "other"


def test_a_process_is_weighed_by_itself(workplace: Workplace) -> None:
    ballast = np.ones(40_000_000)  # 320 MB here must not count there
    code = "import json; kept = bytearray(50_000_000); print(json.dumps({'a': len(kept)}))"
    child = workplace.run([sys.executable, "-c", code])
    assert child.output == {"a": 50_000_000}
    assert 50 < child.peak_mb < ballast.nbytes / 2e6
    with pytest.raises(DetectionError, match="ended with 3: told"):
        workplace.run([sys.executable, "-c", "import sys; print('told'); sys.exit(3)"])


def test_a_peer_that_is_not_installed_is_skipped_by_name(workplace: Workplace) -> None:
    vectors = drawn_set("easy", TINY).normals
    told = peer_figure(Path(sys.executable), vectors, Pictures(1, 64), TINY, workplace, threads=1)
    assert told == {"skipped": "anomalib is not installed"}
    assert peer_ratios(told, {}) == {}
    (workplace.folder / "other").mkdir()
    nowhere = Workplace(workplace.folder / "other", {})
    told = peer_figure(Path("/no/such/python"), vectors, Pictures(1, 64), TINY, nowhere, threads=1)
    assert "could not be" in told["skipped"]


def test_quick_sizes_are_smaller() -> None:
    full = Plan()
    assert QUICK.coreset_rows < full.coreset_rows == 209 * 784
    assert full.coreset_picks == 16_386
