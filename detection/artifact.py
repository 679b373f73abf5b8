"""Models on disk: a directory of safetensors parts and a hashed manifest, written whole or not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detection.calibration import Calibration
from detection.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    ArtifactError,
    Manifest,
    check_parts,
    file_sha256,
    read_manifest,
    write_manifest,
)
from detection.protocol import DetectionError, DetectorState

if TYPE_CHECKING:
    from detection.model import Model

CALIBRATION_PART = "calibration"


def save_model(model: Model, directory: Path) -> Manifest:
    """Write the model into ``directory``, all of it or nothing.

    The parts are written beside it, flushed to disk, and renamed into place. A model that is
    already there is replaced; any other directory is left alone.

    Raises:
        ArtifactError: ``directory`` exists and is not a saved model.
    """
    from safetensors.numpy import save_file

    directory = Path(directory)
    if directory.exists() and not _may_replace(directory):
        raise ArtifactError(directory.name, "is there already and is not a saved model.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    state = model.detector.to_artifact()
    parts: dict[str, dict[str, NDArray[Any]]] = {
        name: {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        for name, tensors in state.tensors.items()
    }
    parts[CALIBRATION_PART] = {
        "scores": model.calibration.scores,
        "lots": model.calibration.lots,
    }
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        staging.chmod(0o755)
        digests: dict[str, str] = {}
        for name, tensors in parts.items():
            path = staging / f"{name}.safetensors"
            save_file(tensors, path)
            digests[path.name] = file_sha256(path)
        manifest = write_manifest(_manifest(model, state, digests), staging)
        for path in (*staging.iterdir(), staging):
            _flush(path)
        _swap_in(staging, directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _flush(directory.parent)
    return manifest


def _may_replace(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    return (directory / MANIFEST_NAME).is_file() or not any(directory.iterdir())


def _manifest(model: Model, state: DetectorState, digests: dict[str, str]) -> Manifest:
    backbone = state.config.get("backbone")
    return Manifest(
        format_version=FORMAT_VERSION,
        method=state.method,
        config=state.config,
        backbone=backbone["name"] if isinstance(backbone, dict) else "",
        packages=dict(model.packages),
        seed=model.seed,
        calibration={
            "kind": model.calibration.kind,
            "count": len(model.calibration.scores),
            "groups": model.calibration.groups,
            "lot_names": list(model.calibration.lot_names),
            "ids": list(model.calibration.ids),
        },
        pixel_threshold=model.pixel_threshold,
        heat_range=model.heat_range,
        metrics=dict(model.metrics),
        parts=digests,
    )


def _swap_in(staging: Path, directory: Path) -> None:
    if not directory.exists():
        staging.rename(directory)
        return
    # rename() cannot replace a directory that is not empty: the old one steps aside first.
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.rename(aside / "model")
    try:
        staging.rename(directory)
    except BaseException:
        (aside / "model").rename(directory)
        aside.rmdir()
        raise
    shutil.rmtree(aside)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_model(directory: Path, *, threads: int | None = None) -> Model:
    """The model saved in ``directory``; it scores as before saving, to the bit.

    Args:
        directory: Where ``save_model`` wrote it.
        threads: CPU threads to use; None for what the fit was given.

    Raises:
        ArtifactError: A part is missing, altered or unreadable; it is named.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from detection.model import Model, detector_class

    directory = Path(directory)
    manifest = read_manifest(directory)
    check_parts(manifest, directory)
    tensors: dict[str, dict[str, NDArray[Any]]] = {}
    for name in manifest.parts:
        try:
            tensors[Path(name).stem] = load_file(directory / name)
        except (OSError, SafetensorError) as error:
            raise ArtifactError(name, f"cannot be read ({error}).") from error
    try:
        calibration = _calibration(manifest, tensors.pop(CALIBRATION_PART))
        config = dict(manifest.config)
        if threads is not None:
            config["threads"] = threads
        state = DetectorState(manifest.method, config, tensors)
        detector = detector_class(manifest.method).from_artifact(state)
    except KeyError as error:
        raise ArtifactError(MANIFEST_NAME, f"names no {error}.") from error
    return Model(
        detector=detector,
        method=manifest.method,
        calibration=calibration,
        pixel_threshold=manifest.pixel_threshold,
        heat_range=manifest.heat_range,
        metrics=dict(manifest.metrics),
        seed=manifest.seed,
        packages=dict(manifest.packages),
    )


def _calibration(manifest: Manifest, tensors: dict[str, NDArray[Any]]) -> Calibration:
    try:
        return Calibration.from_json({**manifest.calibration, **tensors})
    except DetectionError as error:
        raise ArtifactError(f"{CALIBRATION_PART}.safetensors", str(error)) from error
