import json

import pytest

from detection import bench
from detection.bench import Plan
from detection.cli import main

TINY = Plan(
    gemm_side=64, copy_mb=1, coreset_rows=1_600, reference_picks=20, queries=50, search_rows=100,
    fit_images=3, image_px=160, score_bank=100, score_side=96, rounds=1, memory_images=(3,),
    memory_px=128, cold_rounds=1, peer_picks=2,
)  # fmt: skip


@pytest.mark.long
def test_every_figure_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "QUICK", TINY)
    assert main(["bench", "--quick", "--json"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert set(report["coreset"]) == set(report["search"]) == {"easy", "hard"}
    assert report["fit"]["threads_2"]["images"] == 3
    assert report["fit"]["threads_1"]["peak_mb"] > 50
    assert report["memory"]["images_3"]["peak_mb"] > 50
    cold = report["cold_start"]
    assert cold["seconds"] > cold["python_and_numpy_alone_seconds"]
    assert {"decode", "engine", "search"} <= set(report["score"]["default"]["png"]["stages_ms"])
    assert report["peers"] == {"skipped": "no --peers interpreter was named"}
    assert not report["plan"]["is_full_size"]
    assert "12 of" not in told.err
    text = bench.table(report)
    assert "QUICK" in text
    assert "fit on 3 PNGs of 160 px, 2 threads" in text
    assert "cold start" in text
