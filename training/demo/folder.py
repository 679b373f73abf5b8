"""The demo on somebody's own images: a folder in MVTec layout."""

import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from detection.mvtec import FolderError, ImageFiles, read_folder
from inspection.errors import DomainError, RefusedImageError
from inspection.models import Image, Line, Person, Product, View
from inspection.services.intake import image_receive
from inspection.services.products import ProductFacts, ViewFacts, product_create
from training.demo.fitting import Say, fit, wait_for_models, wait_for_scores
from training.services.mvtec import mvtec_import

STREAM_MAX = 120  # images of test/ that arrive at the line, evenly picked


def demo_prepare_folder(*, folder: Path, engineer: Person, line: Line, say: Say) -> None:
    """Import a folder, fit its model and let its test images arrive at the line.

    Raises:
        DomainError: The folder cannot be used, or the fit failed.
    """
    name = folder.resolve().name.replace("_", " ")
    product = Product.objects.filter(name=name).first()
    if product is None:
        product = product_create(
            person=None, facts=ProductFacts(name=name, line=line), views=[ViewFacts(name="view")],
            policy={"audit_rate": 0.1},
        )  # fmt: skip
    view = product.views.get()
    said_at = 0.0

    def progress(done: int, total: int, note: str) -> None:
        nonlocal said_at
        if time.monotonic() - said_at > 3:
            said_at = time.monotonic()
            say(f"{name}: {done} of {total} images read ({note})")

    if not view.promotions.exists():
        try:
            result = mvtec_import(
                folder=folder, product=product, view=view, person=engineer, on_progress=progress
            )
        except FolderError as error:
            raise DomainError(str(error)) from error
        for file, why in result.refused:
            say(f"{name}: {file} was refused: {why}")
        fit(view, engineer)
        wait_for_models([view], say)
    for key, path in _stream(folder):
        _send(view, key, path, say)
    wait_for_scores(say)


def _stream(folder: Path) -> Iterator[tuple[str, Path]]:
    labelled = read_folder(folder).labelled
    if labelled is None or not isinstance(labelled.images, ImageFiles):
        return
    paths = list(labelled.images.paths)
    step = max(1, len(paths) // STREAM_MAX)
    for path in paths[::step][:STREAM_MAX]:
        yield f"demo-{path.parent.name}-{path.name}"[:200], path


def _send(view: View, key: str, path: Path, say: Say) -> None:
    try:
        image_receive(
            data=path.read_bytes(), product=view.product, view=view, capture_key=key,
            # Neutral, as on a line: a name with "scratch" in it would answer for the operator.
            serial=f"N{zlib.crc32(key.encode()):08x}",
            channel=Image.Channel.COMMAND,
        )  # fmt: skip
    except RefusedImageError as error:
        say(f"{path.name} was refused: {error.message}")
