"""Nearest neighbours in a bank: exact in several ways that agree to the bit, or approximate."""

from detection.search.approximate import ApproximateSearch, ApproximationError
from detection.search.choice import KindTiming, choose_kind
from detection.search.distances import paired_distances
from detection.search.exact import KINDS, ExactSearch, available_kinds

__all__ = [
    "KINDS",
    "ApproximateSearch",
    "ApproximationError",
    "ExactSearch",
    "KindTiming",
    "available_kinds",
    "choose_kind",
    "paired_distances",
]
