"""The figures of a model version's page: scores with thresholds, ROC and precision-recall."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from inspection.models import ModelVersion, PolicyThreshold
from review import figures
from review.figures import Figure

BINS = 40
# From dark to light; kinds are told apart by shade and hatching, never by a hue.
KINDS = (
    ("normals held out of the bank", figures.GREY1, ""),
    ("golden normals", figures.GREY2, ""),
    ("known defects", figures.INK, "/"),
)


def scores_figure(version: ModelVersion, threshold: PolicyThreshold | float | None) -> Figure:
    """Return the scores of normals and defects on one axis, thresholds as dashed lines."""
    evaluation: dict[str, Any] = version.metrics.get("evaluation") or {}
    calibration = (version.metrics.get("calibration") or {}).get("scores") or []
    golden = evaluation.get("scores") or []
    kinds = [
        calibration,
        [line["score"] for line in golden if not line["is_defect"]],
        [line["score"] for line in golden if line["is_defect"]],
    ]
    everything = [score for scores in kinds for score in scores]
    edges = np.histogram_bin_edges(everything or [0.0, 1.0], bins=BINS)
    middles = [float(low + high) / 2 for low, high in pairwise(edges)]
    data = []
    for (name, colour, hatch), scores in zip(KINDS, kinds, strict=True):
        if not scores:
            continue
        counts, _ = np.histogram(scores, bins=edges)
        marker: dict[str, Any] = {"color": colour, "line": {"color": figures.EDGE, "width": 1}}
        if hatch:
            marker = {
                "color": figures.PANEL,
                "line": {"color": colour, "width": 1},
                "pattern": {"shape": hatch, "fgcolor": colour, "size": 5},
            }
        data.append(
            {
                "type": "bar", "name": f"{name} ({len(scores)})", "x": middles,
                "y": [int(count) for count in counts], "width": float(edges[1] - edges[0]),
                "marker": marker,
                "hovertemplate": f"score %{{x:.2f}}: %{{y}} {name}<extra></extra>",
            }
        )  # fmt: skip
    shapes, notes = [], []
    for name, at in _lines(threshold):
        shape, note = figures.dashed_line(at, f"{name} {at:.3g}")
        shapes.append(shape)
        notes.append(note)
    sentence = " ".join(
        f"{len(scores)} {name}."
        for (name, _, _), scores in zip(KINDS, kinds, strict=True)
        if scores
    )
    layout = figures.layout(
        height=260,
        x={"title": {"text": "score, feature units"}},
        y={"title": {"text": "images"}},
        barmode="stack",
        bargap=0,
        showlegend=True,
        shapes=shapes,
        annotations=notes,
        margin={"l": 48, "r": 12, "t": 44, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.14, "yanchor": "bottom", "itemclick": False,
                "itemdoubleclick": False},
    )  # fmt: skip
    return Figure("figure-scores", sentence or "No scores.", data, layout)


def _lines(threshold: PolicyThreshold | float | None) -> list[tuple[str, float]]:
    if threshold is None:
        return []
    if isinstance(threshold, float):
        return [("review_from would be", threshold)]
    lines = [("review_from", threshold.review_from)]
    if threshold.reject_from is not None:
        lines.append(("reject_from", threshold.reject_from))
    return lines


def roc_figure(evaluation: dict[str, Any]) -> Figure:
    """Return the ROC curve of image scores with the point of the threshold."""
    here = (evaluation["false_alarm_rate"], evaluation["detection_rate"])
    auroc = evaluation["image_auroc"]
    area = f" Area {auroc:.3f}." if auroc is not None else ""
    n = f"{evaluation['n_defect']} defects and {evaluation['n_normal']} normals."
    return _curve(
        "figure-roc", f"Known defects flagged against normals stopped; {n}{area}",
        _places(evaluation["roc"], "false_alarm_rate", "detection_rate"), here,
        "normals stopped", "defects flagged",
    )  # fmt: skip


def precision_recall_figure(evaluation: dict[str, Any]) -> Figure:
    """Return the precision-recall curve of image scores with the point of the threshold."""
    counts = evaluation["confusion"]
    flagged = counts["found"] + counts["false_alarms"]
    here = (
        evaluation["detection_rate"],
        counts["found"] / flagged if flagged else None,
    )
    precision = evaluation["image_ap"]
    area = f" Average precision {precision:.3f}." if precision is not None else ""
    return _curve(
        "figure-pr",
        f"Flags that are defects against defects flagged, as they lie in the set.{area}",
        _places(evaluation["precision_recall"], "recall", "precision"), here,
        "defects flagged (recall)", "flags that are defects",
    )  # fmt: skip


def _places(points: Sequence[dict[str, float]], x: str, y: str) -> list[tuple[float, float]]:
    return [(point[x], point[y]) for point in points]


def _curve(
    name: str,
    sentence: str,
    points: Sequence[tuple[float, float]],
    here: tuple[float | None, float | None],
    x: str,
    y: str,
) -> Figure:
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "x": [point[0] for point in points],
            "y": [point[1] for point in points], "line": {"color": figures.INK2, "width": 2},
            "hovertemplate": f"{x} %{{x:.1%}}, {y} %{{y:.1%}}<extra></extra>",
        }
    ]  # fmt: skip
    if None not in here:
        data.append(
            {
                "type": "scatter", "mode": "markers", "x": [here[0]], "y": [here[1]],
                "marker": {"color": figures.INK, "size": 10},
                "hovertemplate": "at the threshold: %{x:.1%}, %{y:.1%}<extra></extra>",
            }
        )  # fmt: skip
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "rangemode": "normal"}
    layout = figures.layout(
        height=260, x=axis | {"title": {"text": x}}, y=axis | {"title": {"text": y}}
    )
    return Figure(name, sentence, data, layout)
