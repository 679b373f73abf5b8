"""Figures for pages: Plotly's own JSON, made by hand so that no process imports plotly for it.

A colour is the name of a token of the design ("--grey2"): ``static/js/figures.js`` puts the
theme's value there and draws again when the theme changes.
"""

from dataclasses import dataclass
from typing import Any

INK, INK2, EDGE, LINE = "--ink", "--ink2", "--edge", "--line"
GREY1, GREY2, PANEL, RAISED = "--grey1", "--grey2", "--panel", "--raised"
AMBER, RED = "--amber-fill", "--red"

# Products in the order they come: told apart by shade and by hatching, never by a hue.
SHADES: tuple[dict[str, Any], ...] = (
    {"color": GREY2},
    {"color": GREY1},
    {"color": INK2},
    {"color": GREY1, "pattern": {"shape": "/", "fgcolor": INK2, "size": 6}},
    {"color": PANEL, "pattern": {"shape": "x", "fgcolor": INK2, "size": 6}},
    {"color": PANEL, "pattern": {"shape": ".", "fgcolor": INK2, "size": 6}},
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure on a page: ``sentence`` says what it shows, and stands for it where it is unseen."""

    id: str
    sentence: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]

    @property
    def as_json(self) -> dict[str, Any]:
        """What the page carries for the script."""
        return {"data": self.data, "layout": self.layout, "label": self.sentence}


def shade(index: int) -> dict[str, Any]:
    """Return the marker of the n-th product; after the last they begin again."""
    return SHADES[index % len(SHADES)] | {"line": {"color": EDGE, "width": 1}}


def layout(
    *,
    x: dict[str, Any] | None = None,
    y: dict[str, Any] | None = None,
    height: int = 240,
    **more: Any,
) -> dict[str, Any]:
    """Return the calm layout that all figures share, with axes and the rest on top of it."""
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 12, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK2, "size": 12, "family": "--font"},
        "hoverlabel": {
            "bgcolor": RAISED, "bordercolor": EDGE, "font": {"color": INK, "family": "--font"},
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False,
                   "itemdoubleclick": False},
        "showlegend": False,
        "bargap": 0.25,
        "dragmode": False,
        "xaxis": axis(showgrid=False) | (x or {}),
        "yaxis": axis(rangemode="tozero") | (y or {}),
        **more,
    }  # fmt: skip


def axis(**more: Any) -> dict[str, Any]:
    """Return an axis in the design's colours."""
    return {
        "gridcolor": LINE,
        "linecolor": EDGE,
        "zerolinecolor": EDGE,
        "tickcolor": EDGE,
        "fixedrange": True,
        "automargin": True,
        **more,
    }


def dashed_line(at: float, text: str, *, anchor: str = "left") -> tuple[dict[str, Any], Any]:
    """Return shape and annotation of an upright dashed line: a threshold, a target."""
    shape = {
        "type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": INK, "width": 1.5, "dash": "dash"},
    }  # fmt: skip
    note = {
        "x": at, "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": anchor, "text": text,
        "showarrow": False, "font": {"color": INK, "size": 12},
    }  # fmt: skip
    return shape, note
