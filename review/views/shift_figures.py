"""The figures of the shift page, each from what the selectors counted, each with its sentence."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from review import figures
from review.estimates import DEFECT, GOOD, Numbers
from review.figures import Figure
from review.selectors.histogram import Histogram
from review.selectors.shift import COMPLETED, FLAGS, NOT_BLIND, Backlog, Counts
from review.windows import Window

Key = Callable[[Any], bool]


def flow_figure(counts: Counts, numbers: Numbers, window: Window) -> Figure:
    """Return parts and flags per hour or day, by product: one above the other, same time axis."""
    times = window.buckets()
    names = _products(counts)
    data: list[dict[str, Any]] = []
    for row, (title, wanted) in enumerate((("parts", None), ("flags", FLAGS)), start=1):
        for index, (product, name) in enumerate(names.items()):
            values = _per_bucket(
                times,
                [
                    (flow.bucket, flow.count)
                    for flow in counts.flow
                    if flow.product == product and (wanted is None or flow.outcome in wanted)
                ],
            )
            data.append(
                _bars(window, times, values, name, figures.shade(index))
                | {
                    "yaxis": "y" if row == 1 else "y2",
                    "showlegend": row == 1,
                    "legendgroup": name,
                    "hovertemplate": f"%{{x}}: %{{y}} {title}, {name}<extra></extra>",
                }
            )
    share = f" ({_percent(numbers.flagged, numbers.seen)})" if numbers.seen else ""
    sentence = f"{_many(numbers.seen, 'part')} seen, {numbers.flagged:,} flagged{share}."
    busiest = _busiest(times, counts, window)
    layout = figures.layout(
        height=300,
        x=_time_axis(window, times) | {"anchor": "y2"},
        y=_whole_numbers(max(_per_bucket(times, [(f.bucket, f.count) for f in counts.flow])))
        | {"domain": [0.5, 1], "title": {"text": "parts"}},
        yaxis2=figures.axis(rangemode="tozero", domain=[0, 0.4], title={"text": "flags"})
        | _whole_numbers(max(_flags_per_bucket(times, counts), default=0)),
        barmode="stack",
        showlegend=len(names) > 1,
    )
    return Figure("figure-flow", sentence + busiest, data, layout)


def answers_figure(counts: Counts, numbers: Numbers, window: Window) -> Figure:
    """Return confirmed defects (upwards) and false alarms (downwards) per hour or day."""
    times = window.buckets()
    names = _products(counts)
    data: list[dict[str, Any]] = []
    most = [0, 0]
    for side, (verdict, sign, words) in enumerate(
        ((DEFECT, 1, "confirmed"), (GOOD, -1, "false alarms"))
    ):
        totals = [0] * len(times)
        for index, (product, name) in enumerate(names.items()):
            values = _per_bucket(
                times,
                [
                    (row.bucket, row.count)
                    for row in counts.answered
                    if row.product == product and row.verdict == verdict
                ],
            )
            totals = [total + value for total, value in zip(totals, values, strict=True)]
            data.append(
                _bars(window, times, [sign * value for value in values], name, figures.shade(index))
                | {
                    "showlegend": side == 0,
                    "legendgroup": name,
                    "customdata": values,
                    "hovertemplate": f"%{{x}}: %{{customdata}} {words}, {name}<extra></extra>",
                }
            )
        most[side] = max(totals, default=0)
    ticks = _ticks(max(most))
    # Each side keeps room for its name, however few it holds.
    high, low = 1.1 * max(most[0], 0.4 * most[1], 1), 1.1 * max(most[1], 0.4 * most[0], 1)
    zero = low / (low + high)
    layout = figures.layout(
        x=_time_axis(window, times),
        margin={"l": 48, "r": 32, "t": 12, "b": 36},
        y={
            "tickvals": [*[-tick for tick in reversed(ticks) if tick], *ticks],
            "ticktext": [str(tick) for tick in [*[t for t in reversed(ticks) if t], *ticks]],
            "range": [-low, high],
            "zerolinewidth": 1.5,
        },
        barmode="relative",
        showlegend=len(names) > 1,
        annotations=[
            _side_note("defects", (1 + zero) / 2),
            _side_note("false alarms", zero / 2),
        ],
    )
    decided = numbers.confirmed + numbers.false_alarms
    sentence = (
        f"Of {_many(decided, 'flag')} answered, {_many(numbers.confirmed, 'defect')} and "
        f"{_many(numbers.false_alarms, 'false alarm')}."
    )
    return Figure("figure-answers", sentence, data, layout)


def audits_figure(counts: Counts, window: Window) -> Figure:
    """Return answered audits per hour or day, and the misses found among them."""
    times = window.buckets()
    done = [row for row in counts.audits if row.status in (COMPLETED, NOT_BLIND)]
    answered = _per_bucket(times, [(row.bucket, row.count) for row in done])
    missed = _per_bucket(times, [(row.bucket, row.count) for row in done if row.is_miss])
    found = [(time, count) for time, count in zip(times, missed, strict=True) if count]
    data = [
        _bars(window, times, answered, "audits answered", {"color": figures.GREY2})
        | {"hovertemplate": "%{x}: %{y} audits answered<extra></extra>"},
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "misses found",
            "x": [_at(time, window) for time, _ in found],
            "y": [count for _, count in found],
            "text": [str(count) for _, count in found],
            "textposition": "top center",
            "textfont": {"color": figures.RED},
            "marker": {"symbol": "diamond", "size": 11, "color": figures.RED},
            "hovertemplate": "%{x}: %{y} misses found<extra></extra>",
        },
    ]
    blind, not_blind = counts.audits_with(COMPLETED), counts.audits_with(NOT_BLIND)
    sentence = f"{_many(blind, 'blind audit')} answered, {_many(counts.misses, 'miss')} found."
    if not_blind:
        sentence += f" {not_blind:,} more were not blind: their product shows the heat first."
    layout = figures.layout(
        height=200,
        x=_time_axis(window, times, is_narrow=True),
        y=_whole_numbers(max(answered, default=0)),
        showlegend=True,
    )
    return Figure("figure-audits", sentence, data, layout)


def histogram_figure(histogram: Histogram) -> Figure:
    """Return the scores of the serving version with the policy's thresholds as dashed lines."""
    edges = histogram.edges
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    data = [
        {
            "type": "bar",
            "x": middles,
            "y": histogram.counts,
            "width": edges[1] - edges[0],
            "marker": {"color": figures.GREY2},
            "hovertemplate": "score %{x:.2f}: %{y} images<extra></extra>",
        }
    ]
    shapes, notes = [], []
    lines = (("review_from", histogram.review_from), ("reject_from", histogram.reject_from))
    for name, at in lines:
        if at is not None:
            shape, note = figures.dashed_line(at, f"{name} {at:.3g}")
            shapes.append(shape)
            notes.append(note)
    share = _percent(histogram.above_review, histogram.n)
    sentence = (
        f"{histogram.n:,} images of {histogram.name} scored by {histogram.version}; "
        f"{histogram.above_review:,} ({share}) reached review_from."
        if histogram.review_from is not None
        else f"{histogram.n:,} images of {histogram.name} scored by {histogram.version}."
    )
    layout = figures.layout(
        height=220,
        x={"title": {"text": "score, feature units"}},
        y={"title": {"text": "images, log scale"}, "type": "log", "rangemode": "normal"}
        | _decades(max(histogram.counts)),
        margin={"l": 48, "r": 12, "t": 24, "b": 44},
        bargap=0,
        shapes=shapes,
        annotations=notes,
    )
    return Figure("figure-histogram", sentence, data, layout)


def backlog_figure(backlog: Backlog, window: Window) -> Figure:
    """Return how many parts waited over the window."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [_at(time, window) for time in backlog.times],
            "y": backlog.waiting,
            "line": {"color": figures.INK2, "width": 1.5},
            "fill": "tozeroy",
            "fillcolor": figures.GREY1,
            "hovertemplate": "%{x}: %{y} waiting<extra></extra>",
        }
    ]
    most = max(backlog.waiting, default=0)
    when = ""
    if most:
        time = backlog.times[backlog.waiting.index(most)].astimezone(window.zone)
        when = f" Longest {most:,}, {_moment(time, window)}."
    sentence = f"{backlog.arrived:,} came, {backlog.answered:,} were answered.{when}"
    layout = figures.layout(
        height=200,
        x=_time_axis(window, window.buckets(), is_narrow=True),
        y=_whole_numbers(most) | {"title": {"text": "waiting"}},
    )
    return Figure("figure-backlog", sentence, data, layout)


def _products(counts: Counts) -> dict[int, str]:
    """Return the products of the window by name; colours follow this order on every figure."""
    named = {row.product: row.product_name for row in counts.flow}
    return dict(sorted(named.items(), key=lambda pair: pair[1]))


def _per_bucket(times: Sequence[datetime], rows: Sequence[tuple[datetime, int]]) -> list[int]:
    sums: dict[datetime, int] = {}
    for bucket, count in rows:
        sums[bucket] = sums.get(bucket, 0) + count
    return [sums.get(time, 0) for time in times]


def _flags_per_bucket(times: Sequence[datetime], counts: Counts) -> list[int]:
    return _per_bucket(
        times, [(row.bucket, row.count) for row in counts.flow if row.outcome in FLAGS]
    )


def _busiest(times: Sequence[datetime], counts: Counts, window: Window) -> str:
    flags = _flags_per_bucket(times, counts)
    most = max(flags, default=0)
    if not most or len(flags) < 2:
        return ""
    return f" Most flags: {most:,}, {_moment(times[flags.index(most)], window)}."


def _bars(
    window: Window, times: Sequence[datetime], values: list[int], name: str, marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": [_at(time, window) for time in times],
        "y": values,
        "marker": marker,
    }


def _at(time: datetime, window: Window) -> str:
    """Return a time as plotly's axis takes it: local to the site, without an offset."""
    return time.astimezone(window.zone).strftime("%Y-%m-%d %H:%M")


def _moment(time: datetime, window: Window) -> str:
    local = time.astimezone(window.zone)
    if window.bucket == "hour":
        day = f" on {local:%a} {local.day} {local:%b}" if window.days > 1 else ""
        return f"at {local:%H:%M}{day}"
    return f"on {local:%a} {local.day} {local:%b}"


def _time_axis(
    window: Window, times: Sequence[datetime], *, is_narrow: bool = False
) -> dict[str, Any]:
    axis: dict[str, Any] = {"type": "date", "hoverformat": "%H:%M", "tickformat": "%H:%M"}
    if window.bucket == "day":
        axis |= {"hoverformat": "%a %-d %b", "tickformat": "%-d %b"}
        if len(times) <= 14:  # fewer than plotly would name by itself: each day once
            every = 2 if is_narrow and len(times) > 4 else 1
            axis |= {"tickvals": [_at(time, window) for time in times[::every]]}
    return axis


def _whole_numbers(most: int) -> dict[str, Any]:
    """Return an axis that counts things: no half parts, and not empty when nothing happened."""
    ticks = _ticks(most)
    return {"tickvals": ticks, "ticktext": [f"{tick:,}" for tick in ticks]} | (
        {"range": [0, 1]} if most == 0 else {}
    )


def _ticks(most: int) -> list[int]:
    """Return up to five round ticks from 0 to at least the largest value."""
    step = 1
    while step * 4 < most:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return list(range(0, max(most, 1) + step, step))


def _decades(most: int) -> dict[str, Any]:
    values = [10**power for power in range(8) if 10**power <= max(most, 1) * 10]
    return {"tickvals": values, "ticktext": [f"{value:,}" for value in values]}


def _side_note(text: str, at: float) -> dict[str, Any]:
    """Return a word at the right edge, turned, so that no bar lies under it."""
    return {
        "xref": "paper", "x": 1, "xanchor": "left", "yref": "paper", "y": at, "yanchor": "middle",
        "text": text, "textangle": 90, "showarrow": False,
        "font": {"color": figures.INK2, "size": 12},
    }  # fmt: skip


def _percent(count: int, n: int) -> str:
    share = 100 * count / n
    return f"{share:.0f} %" if share >= 10 else f"{share:.2g} %"


def _many(count: int, word: str) -> str:
    """Return a count with its word, in the plural where it is one."""
    ending = "" if count == 1 else "es" if word.endswith("s") else "s"
    return f"{count:,} {word}{ending}"
