"""Names a frozen network as plain data: model, layers, weights, and the views that are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from detection.protocol import DetectionError

DEFAULT_BACKBONE = "tf_efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class View:
    """Some layers of a network joined on one grid.

    Numbers beyond the network's last layer mean its last; one that comes twice is read once.

    Attributes:
        layers: Numbers of the layers joined.
        grid: Number of the layer whose grid they are brought to.
        pooling: Width in cells of the running mean over the joined grid, odd; 1 for none.
    """

    layers: tuple[int, ...] = (0, 1)
    grid: int = 1
    pooling: int = 1

    def __post_init__(self) -> None:
        """Raises DetectionError where a number is out of range."""
        if not self.layers or min(*self.layers, self.grid, 0) < 0 or self.pooling % 2 != 1:
            raise DetectionError("A view needs layers and a grid from 0 on, and an odd pooling.")

    def layers_of(self, count: int) -> tuple[int, ...]:
        """The numbers of the layers read in a network of ``count`` layers, rising."""
        return tuple(sorted({min(number, count - 1) for number in self.layers}))


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Which frozen network to run and what to read of it.

    Attributes:
        name: A timm model name.
        layers: Module names inside it, in the order in which they run; empty for the default.
        weights: A local weights file; None for the packaged ones, or else timm's hub.
        views: What the engine gives for an image, one array each.
    """

    name: str = DEFAULT_BACKBONE
    layers: tuple[str, ...] = ()
    weights: str | None = None
    views: tuple[View, ...] = (View(),)

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON types."""
        views = [{**asdict(view), "layers": list(view.layers)} for view in self.views]
        return {**asdict(self), "layers": list(self.layers), "views": views}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The spec that ``to_json`` wrote; what is left out stands at its default."""
        views = data.get("views")
        return cls(
            str(data.get("name", DEFAULT_BACKBONE)),
            tuple(data.get("layers", ())),
            data.get("weights"),
            (View(),)
            if views is None
            else tuple(
                View(tuple(view["layers"]), int(view["grid"]), int(view["pooling"]))
                for view in views
            ),
        )
