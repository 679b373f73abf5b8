"""The model registry: versions come in from a folder, one of them serves, workers load it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from detection.manifest import MANIFEST_NAME, ArtifactError, check_parts, read_manifest
from inspection.access import MAKERS, require
from inspection.blobs import blob_put, blob_store
from inspection.errors import ConflictError, NotFoundError
from inspection.models import ModelVersion, Person, Promotion, View
from inspection.services.events import event_record

if TYPE_CHECKING:
    from detection.model import Model

# Versions kept in memory at once: a bank and a network take some 50 to 150 MB.
KEPT_IN_MEMORY: Final = 4
# One core scores one image; more images at once are more workers.
SCORING_THREADS: Final = 1

_loaded: "OrderedDict[str, Model]" = OrderedDict()
_lock = Lock()


def version_register(
    *, view: View, directory: Path, metrics: dict[str, Any], fit_seconds: float
) -> ModelVersion:
    """Store a saved model and return its version, the next number of the view.

    The same files registered again for the same view are the same version.

    Raises:
        ArtifactError: A part is missing or altered.
        ConflictError: The same files are a version of another view.
    """
    manifest = read_manifest(directory)
    check_parts(manifest, directory)
    content = (directory / MANIFEST_NAME).read_bytes()
    manifest_sha256 = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        View.objects.select_for_update().get(pk=view.pk)  # one number, one version
        same = ModelVersion.objects.filter(manifest_sha256=manifest_sha256).first()
        if same is not None:
            if same.view_id != view.pk:
                raise ConflictError("These model files are already a version of another view.")
            return same
        blobs = [blob_put(content)]
        for name, sha256 in sorted(manifest.parts.items()):
            blob = blob_put((directory / name).read_bytes())
            if blob.sha256 != sha256:
                raise ArtifactError(name, "changed while it was being stored.")
            blobs.append(blob)
        last = ModelVersion.objects.filter(view=view).aggregate(last=Max("number"))["last"] or 0
        return ModelVersion.objects.create(
            view=view,
            number=last + 1,
            method=manifest.method,
            manifest=json.loads(content),
            manifest_sha256=manifest_sha256,
            pixel_threshold=manifest.pixel_threshold,
            heat_top=manifest.heat_range[1],
            calibration_kind=str(manifest.calibration["kind"]),
            calibration_count=int(manifest.calibration["count"]),
            metrics=metrics,
            size_bytes=sum(blob.size_bytes for blob in blobs),
            fit_seconds=fit_seconds,
        )


def serving_version(view: View) -> ModelVersion | None:
    """Return the version that the newest promotion of the view names."""
    newest = (
        Promotion.objects.filter(view=view).order_by("-id").select_related("version").first()
    )  # fmt: skip
    return newest.version if newest is not None else None


@transaction.atomic
def promotion_record(
    *,
    view: View,
    version: ModelVersion,
    person: Person | None,
    reason: str = "",
    is_rollback: bool = False,
) -> Promotion:
    """Make a version serve its view: one committed row. ``person`` is empty for the system.

    The first model of a view also gives the images that were only collected their jobs.

    Raises:
        NotAllowedError: The person is no engineer or administrator of the line.
        ConflictError: The version belongs to another view, or serves already.
    """
    if person is not None:
        require(person, view.product.line, MAKERS)
    if version.view_id != view.pk:
        raise ConflictError("That version belongs to another view.")
    View.objects.select_for_update().get(pk=view.pk)
    serving = serving_version(view)
    if serving is not None and serving.pk == version.pk:
        raise ConflictError(f"{version} serves already.")
    promotion = Promotion.objects.create(
        view=view,
        version=version,
        is_rollback=is_rollback,
        reason=reason[:300],
        by=person,
        at=timezone.now(),
    )
    event_record(
        kind="model.rolled_back" if is_rollback else "model.promoted",
        subject=f"view:{view.pk}",
        actor=person,
        data={
            "version": version.pk,
            "number": version.number,
            "manifest_sha256": version.manifest_sha256,
            "before": serving.pk if serving is not None else None,
            "reason": reason,
        },
    )
    if serving is None:
        from inspection.services.jobs import collected_enqueue

        collected_enqueue(view)
    return promotion


def version_load(version: ModelVersion) -> "Model":
    """Return the model of a version, whole and hash-checked when it is read the first time.

    The last few stay in memory. Loads the engines: for workers only.

    Raises:
        ArtifactError: A part is missing or altered in the blob store; it is named.
    """
    from detection.model import load_model

    key = version.manifest_sha256
    with _lock:
        model = _loaded.get(key)
        if model is None:
            folder = _materialised(version)
            try:
                model = load_model(folder, threads=SCORING_THREADS, cache=network_cache())
            except ArtifactError:
                # The cached copy is damaged: the blob store has the original, which either
                # heals it or is damaged itself and is named.
                shutil.rmtree(folder, ignore_errors=True)
                folder = _materialised(version)
                model = load_model(folder, threads=SCORING_THREADS, cache=network_cache())
            while len(_loaded) >= KEPT_IN_MEMORY:
                _loaded.popitem(last=False)
            _loaded[key] = model
        _loaded.move_to_end(key)
        return model


def network_cache() -> Path:
    """Return the folder that keeps converted and compiled networks, for fits and loads alike.

    It only saves seconds: deleting it is safe at any time.
    """
    return Path(settings.CACHE_DIR) / "networks"


def versions_forget() -> None:
    """Drop every model from memory."""
    with _lock:
        _loaded.clear()


def _materialised(version: ModelVersion) -> Path:
    """Return a folder in the cache with the version's files under their own names."""
    root = Path(settings.CACHE_DIR) / "models"
    folder = root / version.manifest_sha256
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    store = blob_store()
    staging = Path(tempfile.mkdtemp(dir=root, prefix=".part-"))
    files = {MANIFEST_NAME: version.manifest_sha256, **version.manifest["parts"]}
    try:
        for name, sha256 in files.items():
            if Path(name).name != name:
                raise ArtifactError(name, "lies outside the model's directory.")
            try:
                with store.open(sha256) as source, (staging / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            except NotFoundError as error:
                raise ArtifactError(name, "is missing in the blob store.") from error
        if (
            hashlib.sha256((staging / MANIFEST_NAME).read_bytes()).hexdigest()
            != files[MANIFEST_NAME]
        ):
            raise ArtifactError(MANIFEST_NAME, "was changed after the model was registered.")
        os.replace(staging, folder)  # noqa: PTH105  # fails on a full folder: another was faster
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        if not folder.is_dir():
            raise
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return folder
