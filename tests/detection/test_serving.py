"""A saved model scores without the packages that only fitting needs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.model import Model, fit_model, load_model, save_model
from tests import images
from tests.detection.conftest import SMALL, Parts

ROOT = Path(__file__).parents[2]
FITTING_ONLY = {"torch", "torchvision", "timm", "faiss"}
# What the pinned packages bring along.
THEIR_OWN = {"llvmlite", "openvino-telemetry", "setuptools", "packaging"}


def pins(name: str) -> dict[str, str]:
    """The exact pins of a requirements file."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?==(\S+)", text, flags=re.MULTILINE))


# Runs in a fresh interpreter, where nothing has been imported yet.
_SCORE = """
import json, sys
blocked = set(json.loads(sys.argv[3]))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocker())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in blocked else find_spec(name, *rest)

import numpy as np
from detection.model import load_model
from detection.protocol import DetectionError
try:
    model = load_model(__import__("pathlib").Path(sys.argv[1]))
except DetectionError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
result = model.score(np.load(sys.argv[2]))
print(json.dumps({
    "score": result.score.hex(),
    "surprise": result.surprise.hex(),
    "map": result.map.tobytes().hex(),
    "engine": model.detector.reader_.engine.name,
    "loaded": sorted(blocked & set(sys.modules)),
    "packages": sorted({
        package
        for module, packages in __import__("importlib.metadata").metadata
            .packages_distributions().items()
        if module in sys.modules
        for package in packages
    }),
}))
"""


def score_without(blocked: set[str], folder: Path, image: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _SCORE, str(folder), str(image), json.dumps(sorted(blocked))],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def image(tmp_path: Path) -> Path:
    np.save(tmp_path / "image.npy", images.part_pixels(71, height=192, width=160, defect=True))
    return tmp_path / "image.npy"


def test_scores_to_the_bit_without_what_only_fitting_needs(
    small_model: Model, tmp_path: Path, image: Path
) -> None:
    save_model(small_model, tmp_path / "model")
    there = score_without(FITTING_ONLY, tmp_path / "model", image)
    here = small_model.score(np.load(image))
    wanted = set(pins("requirements-serve.txt")) | THEIR_OWN
    assert {name.lower() for name in there.pop("packages")} <= {name.lower() for name in wanted}
    assert there == {
        "score": here.score.hex(),
        "surprise": here.surprise.hex(),
        "map": here.map.tobytes().hex(),
        "engine": "openvino",
        "loaded": [],
    }
    refused = score_without({"openvino"}, tmp_path / "model", image)
    assert "openvino is not installed" in refused["error"]


def test_a_model_of_the_torch_engine_scores_without_openvino(tmp_path: Path, image: Path) -> None:
    parts = Parts(range(8))
    names = [str(seed) for seed in parts.seeds]
    model = fit_model(parts, ids=names, config={**SMALL, "engine": "torch"}, seed=1)
    save_model(model, tmp_path / "model")
    there = score_without({"openvino", "faiss"}, tmp_path / "model", image)
    assert there["engine"] == "torch"
    assert there["score"] == model.score(np.load(image)).score.hex()
    assert there["loaded"] == []


def test_a_cache_folder_does_not_move_scores(
    small_model: Model, tmp_path: Path, image: Path
) -> None:
    save_model(small_model, tmp_path / "model")
    expected = small_model.score(np.load(image))
    for _ in ("fills the cache", "reads it"):
        loaded = load_model(tmp_path / "model", cache=tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir())
        np.testing.assert_array_equal(loaded.score(np.load(image)).map, expected.map)


def test_serving_pins_are_those_of_the_product() -> None:
    serving, product = pins("requirements-serve.txt"), pins("requirements.txt")
    assert {"numpy", "openvino", "safetensors"} <= set(serving)
    assert serving.items() <= product.items()
    assert not FITTING_ONLY & set(serving)
    assert "faiss-cpu" not in serving
