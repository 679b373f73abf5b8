"""``manage.py ingest FOLDER --product P``: take in a folder of images once."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inspection.errors import DomainError, RefusedImageError
from inspection.models import Image, Product
from inspection.selectors.products import product_by_name_or_id, view_by_name_or_id
from inspection.services.intake import image_receive

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
REPORT_EVERY = 50


class Command(BaseCommand):
    """Running it again takes in only what is new: the same bytes are the same image."""

    help = "Take in every image of a folder and its folders."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--product", required=True, help="name or number")
        parser.add_argument("--view", default="", help="name or number; needed with several")
        parser.add_argument("--lot", default="")
        parser.add_argument(
            "--serial-from-name",
            action="store_true",
            help="the file's name is the part's serial (else one is made up)",
        )
        parser.add_argument(
            "--no-score", action="store_true", help="only collect: no score, no routing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the files in and say what became of them."""
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        try:
            products = Product.objects.filter(archived_at__isnull=True).select_related("line")
            product = product_by_name_or_id(products, options["product"])
            view = view_by_name_or_id(product, options["view"]) if options["view"] else None
        except DomainError as error:
            raise CommandError(error.message) from error
        paths = sorted(_images(folder))
        if not paths:
            raise CommandError(f"{folder} holds no PNG, JPEG, TIFF or BMP.")
        counts: Counter[str] = Counter()
        for number, path in enumerate(paths, start=1):
            try:
                received = image_receive(
                    data=path.read_bytes(),
                    product=product,
                    view=view,
                    channel=Image.Channel.COMMAND,
                    lot=options["lot"],
                    serial=path.stem if options["serial_from_name"] else "",
                    file_name=path.name,
                    score=not options["no_score"],
                )
            except RefusedImageError as error:
                self.stderr.write(f"{path}: {error.message}")
                counts["refused"] += 1
            except (DomainError, OSError) as error:
                raise CommandError(f"{path}: {error}") from error
            else:
                counts["taken in" if received.created else "here already"] += 1
            if number % REPORT_EVERY == 0:
                self.stdout.write(f"{number} of {len(paths)}")
        words = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        self.stdout.write(f"{len(paths)} files: {words}")
        if counts["refused"]:
            raise CommandError(f"{counts['refused']} files were refused: see above.")


def _images(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(root) / name
