"""What the demo makes: who, which products, how many parts. Numbers sized for two cores."""

from dataclasses import dataclass

NORMALS = 72  # parts a product learns from; a ring at any angle needs many
GOLDEN_NORMALS = 12  # known truth, never trained on
GOLDEN_DEFECTS = 14  # two of each defect
STREAM = 40  # parts that arrive at once, so that the queue has work
DEFECT_EVERY = 6  # of the stream: far more than in a plant, or the demo would be dull
STREAM_EVERY_S = 20.0  # then a slow line
STREAM_PARTS = 1_000

FIRST_NUMBER = 1_000  # at the end of the first serial

# Seeds apart from one another, so that no golden part is a training part.
NORMAL_SEED, GOLDEN_SEED, STREAM_SEED = 1_000, 200_000, 500_000


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """One sample product and how it is reviewed."""

    key: str
    line: str
    stations: dict[str, str]  # view -> station
    overlay_first: bool
    miss_cost: float
    false_alarm_cost: float
    serial_prefix: str


PLANS = (
    ProductPlan(
        key="flange-ring",
        line="Line 2",
        stations={"face": "2A", "bore": "2C"},
        overlay_first=False,
        miss_cost=120,
        false_alarm_cost=4,
        serial_prefix="R62",
    ),
    ProductPlan(
        key="filter-cloth",
        line="Line 3",
        stations={"top": "3A"},
        overlay_first=True,
        miss_cost=40,
        false_alarm_cost=2,
        serial_prefix="PW18",
    ),
)


def stream_defect(number: int, defects: list[str]) -> str | None:
    """Return the defect of the n-th part of a stream, or ``None`` for a good one."""
    if number % DEFECT_EVERY != DEFECT_EVERY // 2:
        return None
    return defects[(number // DEFECT_EVERY) % len(defects)]
