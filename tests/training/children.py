"""Training processes that misbehave on purpose: ``python -m tests.training.children FD``.

Which way stands in the job's config: {"way": "killed"}.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from detection.calibration import Calibration
from detection.manifest import FORMAT_VERSION, Manifest, file_sha256, write_manifest


def save_nothing_model(directory: Path, count: int) -> None:
    """Write a whole artefact with nothing in it: enough for the registry."""
    directory.mkdir(parents=True)
    part = directory / "bank.safetensors"
    part.write_bytes(bytes(8) + str(count).encode())
    manifest = Manifest(
        format_version=FORMAT_VERSION, method="patchcore", config={}, backbone="none", packages={},
        seed=0, calibration={"kind": "held-out images", "count": 40, "groups": 0},
        pixel_threshold=2.0, heat_range=(2.0, 6.0), metrics={},
        parts={part.name: file_sha256(part)},
    )  # fmt: skip
    write_manifest(manifest, directory)


def works(job: dict[str, Any], say: Callable[..., None]) -> None:
    """Report twice, save, and end well."""
    say(stage="Reading the normals", done=1, total=2)
    say(stage="Saving", done=2, total=2)
    save_nothing_model(Path(job["out"]), len(job["normals"]))
    scores = np.linspace(1, 2, 40)
    metrics = {
        "normals": len(job["normals"]),
        "groups": 1,
        "calibration": Calibration.of(scores, "held-out images").to_json(),
        "health_reference": {"made": "by the fake"},
        "evaluation": None,
    }
    say(result={"fit_seconds": 1.5, "metrics": metrics})


def main() -> None:
    """Do what the job's config names."""
    job = json.loads(sys.stdin.buffer.readline())
    stream = os.fdopen(int(sys.argv[1]), "w")

    def say(**line: Any) -> None:
        stream.write(json.dumps(line) + "\n")
        stream.flush()

    way = job["config"].get("way", "works")
    if way == "works":
        works(job, say)
        return
    say(stage="Reading the normals", done=1, total=9)
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "killed after saving":
        save_nothing_model(Path(job["out"]), 1)
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "large":
        block = np.ones(80 * 1024 * 1024 // 8)
        time.sleep(30)  # until the watchdog ends it; only a broken one waits this long
        del block
    elif way == "silent":
        time.sleep(30)  # as above
    elif way == "busy":
        while True:
            say(stage="Reading the normals", done=2, total=9)
            time.sleep(0.05)
    elif way == "words":
        say(error="All normal images are the same picture.")
        sys.exit(1)
    elif way == "crash":
        raise RuntimeError("a mistake of ours")
    else:
        raise ValueError(way)


if __name__ == "__main__":
    main()
