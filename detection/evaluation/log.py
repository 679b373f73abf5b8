"""How often a labelled set was looked at: every evaluation leaves one line in a file.

A set on which many settings were tried flatters the best of them; the count says how many.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from detection.protocol import DetectionError

MAIN_FIGURES: Final = (
    "image_auroc", "image_ap", "pixel_auroc", "aupro", "aupro_05", "pixel_iou", "region_recall",
    "region_precision", "detection_rate", "false_alarm_rate", "ms_per_image", "p95_ms",
)  # fmt: skip


def run_line(
    evaluation: Mapping[str, Any],
    *,
    folder: str,
    set_digest: str,
    method: str,
    config: Mapping[str, Any],
    seed: int,
    model_sha256: str | None,
) -> dict[str, Any]:
    """Return what the log keeps of an evaluation, with the time of now.

    Args:
        evaluation: As ``Evaluation.to_json`` gives it.
        folder: Name of the folder, without where it lies.
        set_digest: From ``file_list_digest``.
        method: Of the model.
        config: Its settings, JSON types.
        seed: Of its fit.
        model_sha256: Of its manifest; None where it was not saved.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model_sha256,
        "config_digest": config_digest(method, config),
        "seed": seed,
        "folder": folder,
        "set_digest": set_digest,
        "n_normal": evaluation["n_normal"],
        "n_defect": evaluation["n_defect"],
        **{name: evaluation[name] for name in MAIN_FIGURES},
    }


def append_run(path: Path, run: Mapping[str, Any]) -> int:
    """Append one evaluation to the log and return how many of the same set it now holds.

    Several processes may append at once: the file is locked meanwhile. A line that a killed
    process left half-written is closed off and not counted.

    Args:
        path: JSON lines; made with its folders where missing.
        run: JSON types; ``set_digest`` says which set it was, see ``file_list_digest``.

    Raises:
        DetectionError: The file cannot be written.
    """
    import fcntl

    line = json.dumps(run, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
            before, ends_whole = _count(file, run["set_digest"])
            file.write(line if ends_whole else b"\n" + line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DetectionError(
            f"The evaluation log {path} cannot be written ({error.strerror}): name another "
            "with --log, or none with --no-log."
        ) from error
    return before + 1


def file_list_digest(files: Iterable[tuple[str, int]]) -> str:
    """Return a digest of names and sizes in bytes, in any order: the same set anywhere."""
    text = "\n".join(f"{size} {name}" for name, size in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def config_digest(method: str, config: Mapping[str, Any]) -> str:
    """Return a digest of the settings alone: the same for every set of normals and every seed."""
    settings = {name: value for name, value in config.items() if name not in ("ids", "threads")}
    text = json.dumps([method, settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _count(file: BinaryIO, set_digest: str) -> tuple[int, bool]:
    file.seek(0)
    count, line = 0, b"\n"
    for line in file:
        try:
            run = json.loads(line)
        except ValueError:
            continue
        count += isinstance(run, dict) and run.get("set_digest") == set_digest
    return count, line.endswith(b"\n")
