"""Reads of training, each with its permission filter inside."""

from training.selectors.pools import Pool, attestations_of_view, pool_counts, pool_images
from training.selectors.runs import run_of, runs_of_view, settings_of_view
from training.selectors.versions import version_of, versions_of_view
from training.selectors.views import ViewRow, view_of, view_rows

__all__ = [
    "Pool",
    "ViewRow",
    "attestations_of_view",
    "pool_counts",
    "pool_images",
    "run_of",
    "runs_of_view",
    "settings_of_view",
    "version_of",
    "versions_of_view",
    "view_of",
    "view_rows",
]
