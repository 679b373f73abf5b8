"""Names a frozen network: model, layers, grid and weights, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

DEFAULT_BACKBONE = "tf_efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Which frozen network to run and which of its layers to read.

    Attributes:
        name: A timm model name.
        layers: Module names inside it, in the order in which they run; empty for the default.
        weights: A local weights file; None for the packaged ones, or else timm's hub.
        grid_layer: Number of the layer whose grid all others are brought to; the last one where
            there are fewer layers.
    """

    name: str = DEFAULT_BACKBONE
    layers: tuple[str, ...] = ()
    weights: str | None = None
    grid_layer: int = 1

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON types."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The spec that ``to_json`` wrote; what is left out stands at its default."""
        return cls(
            str(data.get("name", DEFAULT_BACKBONE)),
            tuple(data.get("layers", ())),
            data.get("weights"),
            int(data.get("grid_layer", 1)),
        )
