"""Draws sample parts in child processes, so that both cores draw while the demo takes them in."""

import io
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

# Lots of the sample parts: enough that calibration can hold out whole lots.
LOTS = tuple(f"{number:04d}" for number in range(471, 483))
DRAWN_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Order:
    """Which part to draw; the same order gives the same bytes."""

    product: str
    seed: int
    defect: str | None = None
    views: tuple[str, ...] | None = None

    @property
    def lot(self) -> str:
        """The lot it comes from."""
        return LOTS[self.seed % len(LOTS)]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn part: JPEG pictures and PNG masks by view, as a camera would send them."""

    order: Order
    pictures: dict[str, bytes]
    masks: dict[str, bytes | None]  # None where the view shows nothing wrong


def draw(order: Order) -> Drawn:
    """Draw one part."""
    import numpy as np
    from PIL import Image

    from detection.samples import PRODUCTS, make_part

    part = make_part(
        PRODUCTS[order.product],
        seed=order.seed,
        defect=order.defect,
        lot=order.lot,
        views=order.views,
    )
    pictures: dict[str, bytes] = {}
    masks: dict[str, bytes | None] = {}
    for view, pixels in part.images.items():
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0)
        pictures[view] = stream.getvalue()
        masks[view] = None
        if part.masks[view].any():
            stream = io.BytesIO()
            Image.fromarray(part.masks[view].astype(np.uint8) * 255).save(stream, "PNG")
            masks[view] = stream.getvalue()
    return Drawn(order, pictures, masks)


class Factory:
    """A pool of drawing processes; use it as a context."""

    def __init__(self, processes: int) -> None:
        # Spawned, not forked: the parent has threads and a database connection.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(max_workers=processes, mp_context=context)

    def __enter__(self) -> "Factory":
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def draw_all(self, orders: Sequence[Order]) -> Iterator[Drawn]:
        """Yield the parts in order, a few drawn ahead."""
        waiting = iter(orders)
        ahead = [self._pool.submit(draw, order) for order in islice(waiting, DRAWN_AHEAD)]
        while ahead:
            drawn = ahead.pop(0).result()
            ahead.extend(self._pool.submit(draw, order) for order in islice(waiting, 1))
            yield drawn
