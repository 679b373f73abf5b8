"""The records of training. Import them from here."""

from training.models.pools import Attestation, GoldenEntry, PoolEntry
from training.models.runs import Run, Snapshot, SnapshotEntry

__all__ = ["Attestation", "GoldenEntry", "PoolEntry", "Run", "Snapshot", "SnapshotEntry"]
