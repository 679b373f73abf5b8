"""Models on disk: a directory of safetensors parts and a hashed manifest, written whole or not."""

from __future__ import annotations

import ctypes
import errno
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
    file_sha256,
    read_parts,
    write_manifest,
)
from detection.protocol import DetectionError, DetectorState

if TYPE_CHECKING:
    from detection.model import Model

CALIBRATION_PART = "calibration"
PART_SUFFIX = ".safetensors"


def save_model(model: Model, directory: Path) -> Manifest:
    """Write the model into ``directory``, all of it or nothing.

    The parts are written beside it, flushed to disk, and renamed into place. A model that is
    already there is replaced in one step, so that whoever reads it meanwhile gets the old one or
    the new one; any other directory is left alone.

    Raises:
        ArtifactError: ``directory`` exists and is not a saved model, or the model holds a value
            that is not a number.
    """
    from safetensors.numpy import save_file

    directory = Path(directory)
    check_target(directory)
    if directory.is_symlink():
        directory = directory.resolve()
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
            path = staging / f"{name}{PART_SUFFIX}"
            save_file(tensors, path)
            path.chmod(0o644)  # as any other file; the library writes for the owner alone
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


def check_target(directory: Path) -> None:
    """Refuse a place that `save_model` would not write to, before a long fit.

    Raises:
        ArtifactError: Something is there that is neither a saved model nor an empty directory.
    """
    directory = Path(directory)
    if not directory.exists():
        return
    names = {path.name for path in directory.iterdir()} if directory.is_dir() else {""}
    # More than a manifest must fit: other programs call their files so, and these are deleted.
    parts = {name for name in names if name.endswith(PART_SUFFIX)}
    if names and names - parts != {MANIFEST_NAME}:
        raise ArtifactError(
            directory.name, "is there already and is not a saved model. Choose another place."
        )


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
    try:
        staging.rename(directory)  # onto nothing, or onto an empty directory
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if _exchange(staging, directory):
        shutil.rmtree(staging)
        return
    # The old one steps aside first; for an instant there is no model here.
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.rename(aside / "model")
    try:
        staging.rename(directory)
    except BaseException:
        (aside / "model").rename(directory)
        aside.rmdir()
        raise
    shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories in one step; False where the system or the disk cannot."""
    at_working_directory, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if rename(at_working_directory, names[0], at_working_directory, names[1], exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_model(directory: Path, *, threads: int | None = None, cache: Path | None = None) -> Model:
    """The model saved in ``directory``; it scores as before saving, to the bit.

    Args:
        directory: Where ``save_model`` wrote it.
        threads: CPU threads to use; None for what the fit was given.
        cache: Folder that keeps compiled networks between processes; None for none.

    Raises:
        ArtifactError: A part is missing, altered or unreadable, or does not fit the others; it is
            named.
        DetectionError: This machine lacks what the model needs, such as an engine.
    """
    from detection.model import Model, detector_class

    manifest, contents = read_parts(Path(directory))
    tensors = {
        name.removesuffix(PART_SUFFIX): read_tensors(name, content)
        for name, content in contents.items()
    }
    contents.clear()  # the bytes are as large as the model
    try:
        calibration = _calibration(manifest, tensors.pop(CALIBRATION_PART))
        config = dict(manifest.config)
        if threads is not None:
            config["threads"] = threads
        state = DetectorState(manifest.method, config, tensors)
        detector = detector_class(manifest.method).from_artifact(state, cache=cache)
    except DetectionError:
        raise
    except KeyError as error:
        raise ArtifactError(MANIFEST_NAME, f"names no {error}.") from error
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        # Digests that fit are no proof of sense: whoever changed a part can write its digest too.
        raise ArtifactError(
            MANIFEST_NAME, f"describes no model that can be used ({error})."
        ) from error
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


def read_tensors(name: str, content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of one part.

    Args:
        name: The file's name, for messages.
        content: Its bytes.

    Raises:
        ArtifactError: It is no file of arrays, or some value is not a finite number.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not name.endswith(PART_SUFFIX):
        raise ArtifactError(name, f"is not a {PART_SUFFIX} file.")
    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ArtifactError(name, f"cannot be read ({error}).") from error
    for key, values in tensors.items():
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ArtifactError(name, f"{key} holds values that are not finite numbers.")
    return tensors


def _calibration(manifest: Manifest, tensors: dict[str, NDArray[Any]]) -> Calibration:
    try:
        return Calibration.from_json({**manifest.calibration, **tensors})
    except DetectionError as error:
        raise ArtifactError(f"{CALIBRATION_PART}{PART_SUFFIX}", str(error)) from error
