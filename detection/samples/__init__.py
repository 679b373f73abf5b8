"""Photo-like sample parts from a seed, for demo and tests. numpy and OpenCV only.

Not measurements of anything: figures on these parts say that the product works, not how well.
"""

from detection.samples.folders import encode_image, write_mvtec
from detection.samples.parts import (
    DEFAULT_LOT,
    PRODUCTS,
    SamplePart,
    SampleProduct,
    SampleView,
    make_part,
)

__all__ = [
    "DEFAULT_LOT",
    "PRODUCTS",
    "SamplePart",
    "SampleProduct",
    "SampleView",
    "encode_image",
    "make_part",
    "write_mvtec",
]
