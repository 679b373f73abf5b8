"""Synthetic defects on normal images: only to see that a model reacts to anything at all.

Never for thresholds, training or figures about real defects: they are easier than those.
"""

from detection.synthetic.check import SYNTHETIC_NOTE, KindCheck, SanityCheck, sanity_check
from detection.synthetic.defects import KINDS, SyntheticDefect, make_defect

__all__ = [
    "KINDS",
    "SYNTHETIC_NOTE",
    "KindCheck",
    "SanityCheck",
    "SyntheticDefect",
    "make_defect",
    "sanity_check",
]
