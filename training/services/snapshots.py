"""Snapshots: the frozen list of images that a run learns from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from inspection.models import View
from training.errors import TooFewNormalsError
from training.models import GoldenEntry, PoolEntry, Snapshot, SnapshotEntry

# Below, leaving one image out says next to nothing about the others.
MIN_NORMALS = 5
LEARNABLE = (PoolEntry.State.VERIFIED, PoolEntry.State.USED)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Normal:
    image_id: int
    sha256: str
    group: str
    may_calibrate: bool
    probability: float


@transaction.atomic
def snapshot_create(*, view: View, method: str, config: Mapping[str, Any]) -> Snapshot:
    """Return the frozen list of what may be learned now; the same list is the same snapshot.

    In it: verified normals past their quarantine, each set of bytes once. Never in it: golden
    images, and bytes that anybody confirmed as a defect.

    Raises:
        TooFewNormalsError: Fewer than ``MIN_NORMALS``.
    """
    normals = _normals(view)
    if len(normals) < MIN_NORMALS:
        raise TooFewNormalsError(
            f"There are {len(normals)} verified normals; at least {MIN_NORMALS} are needed.",
            {"have": len(normals), "need": MIN_NORMALS},
        )
    fingerprint = _fingerprint(view, normals, method=method, config=config)
    snapshot, is_new = Snapshot.objects.get_or_create(
        view=view, fingerprint=fingerprint, defaults={"image_count": len(normals)}
    )
    if is_new:
        SnapshotEntry.objects.bulk_create(
            [
                SnapshotEntry(
                    snapshot=snapshot, image_id=normal.image_id, sha256=normal.sha256,
                    group=normal.group, may_calibrate=normal.may_calibrate,
                    probability=normal.probability,
                )
                for normal in normals
            ],
            batch_size=_BATCH,
        )  # fmt: skip
    return snapshot


def _normals(view: View) -> list[_Normal]:
    entries = PoolEntry.objects.filter(view=view)
    banned = set(
        GoldenEntry.objects.filter(view=view).values_list("image__blob_id", flat=True)
    ) | set(entries.filter(state=PoolEntry.State.DEFECT).values_list("image__blob_id", flat=True))
    zone = ZoneInfo(view.product.line.site.time_zone)
    rows = (
        entries.filter(state__in=LEARNABLE)
        .order_by("image_id")
        .values_list(
            "image_id", "image__blob_id", "image__part__lot", "image__captured_at",
            "may_calibrate", "selection_probability",
        )
    )  # fmt: skip
    found: dict[str, _Normal] = {}
    for image_id, sha256, lot, captured_at, may_calibrate, probability in rows:
        if sha256 in banned or sha256 in found:
            continue
        group = f"lot {lot}" if lot else f"day {captured_at.astimezone(zone):%Y-%m-%d}"
        found[sha256] = _Normal(image_id, sha256, group, may_calibrate, probability)
    return list(found.values())


def _fingerprint(
    view: View, normals: list[_Normal], *, method: str, config: Mapping[str, Any]
) -> str:
    """Return one hash over all that can change a run's result."""
    golden = GoldenEntry.objects.filter(view=view).values_list(
        "image__blob_id", "is_defect", "mask_id", "defect_type__name"
    )
    content = {
        "normals": sorted(
            [normal.sha256, normal.group, normal.may_calibrate] for normal in normals
        ),
        # Golden images are never learned, but what a candidate is judged by is part of it.
        "golden": sorted(
            [sha, is_defect, mask or "", name or ""] for sha, is_defect, mask, name in golden
        ),
        "method": method,
        "config": dict(config),
        "region_of_interest": view.region_of_interest,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
