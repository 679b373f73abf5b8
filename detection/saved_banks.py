"""What a saved PatchCore model holds: its arrays checked against each other, its provenance read.

Needs no engine. A rewritten manifest can vouch for any bytes, so shapes are checked apart from
the digests: a model that does not fit together is named at loading, not at the thousandth image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detection.manifest import MANIFEST_NAME, ArtifactError, read_parts
from detection.protocol import DetectionError, DetectorState, Int64Array

METHOD: Final = "patchcore"
_IMAGES: Final = "images"
_SUFFIX: Final = ".safetensors"


@dataclass(frozen=True, slots=True)
class BankProvenance:
    """Where each vector of one bank was seen.

    Attributes:
        part: Name of the saved file that holds the bank.
        ids: Ids of the normal images, as they were given to the fit.
        images: ``(rows,)`` int64, number in ``ids`` of each bank vector's image.
        rows: ``(rows,)`` int64, row of its cell in that image's grid.
        columns: ``(rows,)`` int64, column of the same.
        centres_xy: ``(rows, 2)`` float64, centre of the cell in that image, pixels.
    """

    part: str
    ids: tuple[str, ...]
    images: Int64Array
    rows: Int64Array
    columns: Int64Array
    centres_xy: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, vector: int) -> tuple[str, int, int]:
        """Image id, row and column of one bank vector."""
        return self.ids[self.images[vector]], int(self.rows[vector]), int(self.columns[vector])


def read_provenance(directory: Path) -> tuple[BankProvenance, ...]:
    """Where every bank vector of a saved model comes from, one entry a bank.

    Args:
        directory: Where ``save_model`` wrote it.

    Raises:
        ArtifactError: The model is damaged or altered; the part is named.
        DetectionError: Its method keeps no provenance.

    Source: ours.
    """
    from detection.artifact import CALIBRATION_PART, read_tensors

    manifest, contents = read_parts(Path(directory))
    if manifest.method != METHOD:
        raise DetectionError(f"Models of the method {manifest.method} keep no provenance.")
    tensors = {
        name.removesuffix(_SUFFIX): read_tensors(name, content)
        for name, content in contents.items()
        if name != CALIBRATION_PART + _SUFFIX
    }
    state = DetectorState(manifest.method, manifest.config, tensors)
    check_state(state)
    ids = tuple(state.config["ids"])
    sizes_hw = tensors[_IMAGES]["sizes_hw"]
    banks = []
    for number in range(len(state.config["scorers"])):
        part = f"scorer{number}"
        images, rows, columns = tensors[part]["places"].T.astype(np.int64)
        cells_hw = sizes_hw[images] / tensors[part]["grids_hw"][images]
        centres_xy = (np.stack([columns, rows], axis=1) + 0.5) * cells_hw[:, ::-1]
        banks.append(BankProvenance(part + _SUFFIX, ids, images, rows, columns, centres_xy))
    return tuple(banks)


def check_state(state: DetectorState) -> None:
    """Refuse a saved state whose arrays do not fit each other.

    Args:
        state: As ``PatchCore.to_artifact`` gives it; finite already.

    Raises:
        ArtifactError: An array is missing or has a wrong type, shape or range; its part is named.

    Source: ours.
    """
    ids, scorers = state.config.get("ids"), state.config.get("scorers")
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids) or not ids:
        raise ArtifactError(MANIFEST_NAME, "names no normal images.")
    if not isinstance(scorers, list) or not scorers:
        raise ArtifactError(MANIFEST_NAME, "describes no scorers.")
    images = _Part(_IMAGES, state.tensors)
    images.array("sizes_hw", (len(ids), 2), kinds="iu", at_least=1)
    for name in ("usual_centre", "usual_scale"):
        images.array(name, (len(scorers),), kinds="f")
    if not (images.arrays["usual_scale"] > 0.0).all():
        raise images.wrong("usual_scale", "holds values that are not above 0")
    for number in range(len(scorers)):
        _check_scorer(_Part(f"scorer{number}", state.tensors), len(ids))
    if "backbone" in state.tensors:
        backbone = _Part("backbone", state.tensors)
        backbone.array("xml", (-1,), kinds="u")
        backbone.array("weights", (-1,), kinds="u")


def check_width(scorer: int, *, learned: int, given: int) -> None:
    """Refuse a bank that was learned from the features of another network.

    Args:
        scorer: Its number.
        learned: Channels its whitening takes.
        given: Channels that the network gives to the scorer's layers.

    Raises:
        ArtifactError: They differ.
    """
    if learned != given:
        raise ArtifactError(
            f"scorer{scorer}{_SUFFIX}",
            f"was learned from another backbone: it takes {learned} channels, and this model's "
            f"network gives {given}. Fit the model again.",
        )


def _check_scorer(part: _Part, images: int) -> None:
    grids_hw = part.array("grids_hw", (images, 2), kinds="iu", at_least=1)
    bank = part.array("bank", (-1, -1), kinds="f")
    rows, components = bank.shape
    mean = part.array("whitening_mean", (-1,), kinds="f")
    part.array("whitening_matrix", (len(mean), components), kinds="f")
    part.array("usual", (rows,), kinds="f")
    if not (part.array("spread", (rows,), kinds="f") > 0.0).all():
        raise part.wrong("spread", "holds values that are not above 0")
    places = part.array("places", (rows, 3), kinds="iu", at_least=0)
    inside = places[:, 0] < len(grids_hw)
    if not inside.all() or not (places[:, 1:] < grids_hw[places[:, 0]]).all():
        raise part.wrong("places", "names images or cells that do not exist")


class _Part:
    """One file of arrays, asked for one by one."""

    def __init__(self, name: str, tensors: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        self.file = name + _SUFFIX
        if name not in tensors:
            raise ArtifactError(self.file, "is missing.")
        self.arrays = tensors[name]

    def array(
        self, name: str, shape: Sequence[int], *, kinds: str, at_least: int | None = None
    ) -> NDArray[Any]:
        """The array, of a shape (-1 for any length but 0), kind of type and smallest value."""
        if name not in self.arrays:
            raise self.wrong(name, "is missing")
        values = self.arrays[name]
        if values.dtype.kind not in kinds:
            raise self.wrong(name, f"has the type {values.dtype}")
        fits = len(shape) == values.ndim and all(
            found == wanted or (wanted == -1 and found > 0)
            for found, wanted in zip(values.shape, shape, strict=True)
        )
        if not fits:
            wanted = " x ".join("any" if length == -1 else str(length) for length in shape)
            raise self.wrong(name, f"has the shape {values.shape}, not {wanted}")
        if at_least is not None and (values < at_least).any():
            raise self.wrong(name, f"goes below {at_least}")
        return values

    def wrong(self, name: str, what: str) -> ArtifactError:
        """The error about one array of the part."""
        return ArtifactError(self.file, f"{name} {what}.")
