"""The report as a plain table: each figure, what it is held to, and the aim where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str, str, str, str]


def table(report: Mapping[str, Any]) -> str:
    """Lines of figure, measured, aim and beside; for people, ``run_bench``'s report is for scripts.

    Aims are for the full sizes on one core, the fit on two.
    """
    rows = [("figure", "measured", "aim", "beside"), *_rows(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[3]])
        for row in rows
    ]
    machine, plan = report["machine"], report["plan"]
    head = f"{machine['cpu']}, {machine['cores']} cores, {plan['threads']} threads"
    if not plan["is_full_size"]:
        head += "; QUICK sizes, not to be compared with the aims"
    return "\n".join([head, *(line.rstrip() for line in lines)])


def _rows(report: Mapping[str, Any]) -> Iterator[Row]:
    yield from _limits(report["limits"])
    for name, figure in report["coreset"].items():
        yield (
            f"coreset {figure['picks']} of {figure['rows']} x {figure['channels']}, {name}",
            f"{figure['seconds']:.2f} s",
            "5 s",
            f"{100 * figure['share_of_plain_evaluations']:.1f} % of the plain distances, "
            f"{figure['times_its_own_gemm_floor']:.1f} x their GEMM time; first "
            f"{figure['first_picks_compared']} picks "
            f"{'equal' if figure['first_picks_equal'] else 'DIFFER'}",
        )
    for name, figure in report["search"].items():
        kinds = ", ".join(f"{kind} {one['ms']:.2f}" for kind, one in figure["kinds"].items())
        size = f"{figure['queries']} x {figure['bank_rows']} x {figure['channels']}"
        yield (
            f"search {size}, {name}",
            f"{figure['chosen_ms']:.2f} ms",
            "3 ms" if name in ("easy", "real_raw") else "10 ms",
            f"{kinds}; brute GEMM floor {figure['gemm_floor_ms']:.1f} ms",
        )
    yield from _fit_and_start(report)
    for name, figure in report["score"].items():
        for kind, aim in (("jpeg", "10 ms"), ("png", "16 ms")):
            one = figure[kind]
            stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in one["stages_ms"].items())
            is_aimed_at = name.startswith("fast")
            yield (
                f"score a {kind.upper()}, {name.replace('_', ' ')}",
                f"{one['ms']:.1f} ms",
                aim if is_aimed_at else "",
                stages,
            )
    yield from _peers(report)


def _limits(limits: Mapping[str, Any]) -> Iterator[Row]:
    bf16 = limits["gemm_bf16_gflops"]
    beside = "no torch, no bf16" if bf16 is None else f"bf16 {bf16:.0f} GFLOP/s"
    yield "limit: GEMM f32", f"{limits['gemm_f32_gflops']:.0f} GFLOP/s", "", beside
    yield "limit: memory copy", f"{limits['copy_gb_per_s']:.1f} GB/s", "", "read and written"


def _fit_and_start(report: Mapping[str, Any]) -> Iterator[Row]:
    images = report["images"]
    for name, figure in report["fit"].items():
        yield (
            f"fit on {figure['images']} {images['format']}s of {images['side_px']} px, "
            f"{figure['threads']} threads{', empty caches' if name == 'first_ever' else ''}",
            f"{figure['seconds']:.1f} s",
            "20 s" if figure["threads"] == 2 else "",
            f"peak {figure['peak_mb']:.0f} MB; {images['source']}",
        )
    for figure in report["memory"].values():
        aim = {1_000: "600 MB", 10_000: "2500 MB"}.get(figure["images"], "")
        yield (
            f"peak memory, fit on {figure['images']} images",
            f"{figure['peak_mb']:.0f} MB",
            aim,
            f"{figure['peak_mb_before_the_fit']:.0f} MB before the fit; {figure['seconds']:.0f} s",
        )
    start = report["cold_start"]
    yield (
        "cold start to the first score",
        f"{start['seconds']:.2f} s",
        "1.5 s",
        f"first run ever {start['first_run_ever_seconds']:.2f} s; Python and numpy alone "
        f"{start['python_and_numpy_alone_seconds']:.2f} s",
    )


def _peers(report: Mapping[str, Any]) -> Iterator[Row]:
    peer = report["peers"]
    if "skipped" in peer:
        yield "anomalib", "skipped", "", peer["skipped"]
        return
    name, ratios = f"anomalib {peer['anomalib']}", report["peer_ratios"]
    coreset, score = peer["coreset"], peer["score"]
    yield (
        f"{name}, coreset",
        f"{coreset['extrapolated_seconds']:.0f} s",
        "",
        f"extrapolated from {coreset['picks_timed']} picks of {coreset['ms_per_pick']:.0f} ms; "
        f"{ratios['coreset_times']:.0f} x ours",
    )
    for kind in ("jpeg", "png"):
        yield (
            f"{name}, score a {kind.upper()}",
            f"{score[f'{kind}_ms']:.1f} ms",
            "",
            f"{ratios[f'{kind}_times']:.1f} x ours (fast preset, same network and size)",
        )
