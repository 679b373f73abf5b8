"""Taking a folder in MVTec layout into a view: train/good is vouched for, test is golden."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detection.mvtec import FolderError, ImageFiles, MaskFiles, read_folder
from detection.protocol import Progress
from inspection.errors import DomainError, RefusedImageError
from inspection.models import DefectType, Image, Person, Product, View
from training.services.golden import golden_add
from training.services.normals import Imported, NormalFile, normals_import


@dataclass(frozen=True, slots=True)
class FolderImport:
    """What came in from a folder."""

    normals: Imported
    golden_normals: int
    golden_defects: int
    refused: tuple[tuple[str, str], ...]


def mvtec_import(
    *,
    folder: Path,
    product: Product,
    view: View,
    person: Person,
    reason: str = "",
    on_progress: Progress | None = None,
) -> FolderImport:
    """Take in a folder in MVTec layout, or a flat folder of normals; safe to repeat.

    ``test/good`` and ``test/<defect type>`` become golden, with masks where there are some; a
    defect type that the product does not know yet is added to it.

    Raises:
        FolderError: No such folder, or no images where they are expected.
        NotAllowedError: Not an engineer or administrator of the line.
    """
    if view.product_id != product.pk:
        raise DomainError(f"{view} is not a view of {product}.")
    found = read_folder(folder)
    total = len(found.normals) + (len(found.labelled) if found.labelled else 0)
    done = 0

    def normals() -> Iterator[NormalFile]:
        nonlocal done
        for path in found.normals.paths:
            yield NormalFile(name=path.name, data=path.read_bytes())
            done += 1
            if on_progress is not None:
                on_progress(done, total, "normals")

    imported = normals_import(
        view=view, person=person, files=normals(), channel=Image.Channel.COMMAND,
        reason=reason or f"folder {folder.name}: train/good of a labelled set",
    )  # fmt: skip
    golden = {True: 0, False: 0}
    refused: list[tuple[str, str]] = []
    labelled = found.labelled
    if labelled is not None and isinstance(labelled.images, ImageFiles):
        masks = labelled.masks if isinstance(labelled.masks, MaskFiles) else None
        for number, path in enumerate(labelled.images.paths):
            is_defect = bool(labelled.labels[number])
            mask = _mask(masks, number)
            defect_type = _type(product, labelled.defect_types[number]) if is_defect else None
            try:
                golden_add(
                    view=view, person=person, data=path.read_bytes(), is_defect=is_defect,
                    defect_type=defect_type,
                    mask=mask,
                    file_name=f"{path.parent.name}/{path.name}", channel=Image.Channel.COMMAND,
                )  # fmt: skip
                golden[is_defect] += 1
            except RefusedImageError as error:
                refused.append((f"{path.parent.name}/{path.name}", error.message))
            done += 1
            if on_progress is not None:
                on_progress(done, total, "golden set")
    return FolderImport(imported, golden[False], golden[True], tuple(refused))


def _mask(masks: MaskFiles | None, number: int) -> bytes | None:
    """Return a defect's mask file; none where it marks nothing: the picture is still a defect."""
    path = masks.paths[number] if masks is not None else None
    if masks is None or path is None:
        return None
    try:
        marks = masks[number]
    except FolderError:
        return path.read_bytes()  # refused with its reason where the picture is added
    return path.read_bytes() if marks is not None and marks.any() else None


def _type(product: Product, name: str) -> DefectType:
    words = name.replace("_", " ")
    found, _ = DefectType.objects.get_or_create(product=product, name=words[:60])
    return found
