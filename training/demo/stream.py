"""Parts that arrive at the line, first many at once, then one every few seconds."""

import itertools
import time
from collections.abc import Callable, Iterable

from detection.samples import PRODUCTS
from inspection.models import Image, Product
from inspection.services.intake import image_receive
from training.demo.factory import Drawn, Factory, Order
from training.demo.plan import (
    FIRST_NUMBER,
    PLANS,
    STREAM,
    STREAM_EVERY_S,
    STREAM_PARTS,
    STREAM_SEED,
    ProductPlan,
    stream_defect,
)


def stream_orders(plan: ProductPlan, numbers: Iterable[int]) -> list[Order]:
    """Return the parts of the stream that have not arrived yet."""
    sample = PRODUCTS[plan.key]
    there = set(
        Image.objects.filter(product__name=sample.name)
        .exclude(capture_key="")
        .values_list("capture_key", flat=True)
    )
    defects = list(sample.defects)
    orders = []
    for number in numbers:
        order = Order(plan.key, STREAM_SEED + number, stream_defect(number, defects))
        if not all(capture_key(order, view) in there for view in sample.views):
            orders.append(order)
    return orders


def capture_key(order: Order, view: str) -> str:
    """Return the key under which a picture of the stream arrives: sent twice, it is one image."""
    return f"demo-{order.product}-{order.seed}-{view}"


def send_part(plan: ProductPlan, drawn: Drawn) -> None:
    """Send a part's pictures to intake, as its stations would."""
    order = drawn.order
    product = Product.objects.get(name=PRODUCTS[plan.key].name)
    serial = f"{plan.serial_prefix}-{order.lot}-{order.seed - STREAM_SEED + FIRST_NUMBER}"
    for view in product.views.select_related("station"):
        image_receive(
            data=drawn.pictures[view.name],
            product=product,
            view=view,
            station=view.station,
            channel=Image.Channel.API,
            capture_key=capture_key(order, view.name),
            serial=serial,
            lot=order.lot,
        )


def demo_stream(*, say: Callable[[str], None]) -> None:
    """Send one part every few seconds, product by turn, until the day's parts are through."""
    with Factory(processes=1) as factory:
        for number in itertools.islice(itertools.count(STREAM), STREAM_PARTS):
            plan = PLANS[number % len(PLANS)]
            orders = stream_orders(plan, [number])
            for drawn in factory.draw_all(orders):
                started = time.monotonic()
                send_part(plan, drawn)
                time.sleep(max(0.0, STREAM_EVERY_S - (time.monotonic() - started)))
    say("the day's parts are through")
