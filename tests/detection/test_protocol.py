import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "faiss",
    "openvino",
    "cv2",
    "numba",
    "safetensors",
    "django",
)


@pytest.mark.parametrize(
    "modules",
    [
        "detection, detection.protocol, detection.manifest, detection.regions",
        "detection.statistics, detection.model, detection.cli",
        "detection.decoding, detection.png, detection.mvtec, detection.saved_banks",
    ],
)
def test_no_engine_is_loaded_by_importing(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
