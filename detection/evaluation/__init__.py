"""What a fitted model is worth on labelled images: figures, curves and counts at a threshold.

A threshold is never chosen here on the labels: it comes from the caller or from calibration.
"""

from detection.evaluation.comparison import Comparison, compare
from detection.evaluation.labelled import LabelledImage, LabelledSource
from detection.evaluation.log import (
    MAIN_FIGURES,
    append_run,
    config_digest,
    file_list_digest,
    run_line,
)
from detection.evaluation.operating import AreaGroup, OperatingPoint, Rate, ScoredImage
from detection.evaluation.report import Evaluation
from detection.evaluation.run import Evaluator, ImageScore, ScoringModel, evaluate

__all__ = [
    "MAIN_FIGURES",
    "AreaGroup",
    "Comparison",
    "Evaluation",
    "Evaluator",
    "ImageScore",
    "LabelledImage",
    "LabelledSource",
    "OperatingPoint",
    "Rate",
    "ScoredImage",
    "ScoringModel",
    "append_run",
    "compare",
    "config_digest",
    "evaluate",
    "file_list_digest",
    "run_line",
]
