"""How large a run of the bench is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of everything that is measured; the defaults are those of the published table.

    Attributes:
        gemm_side: Rows and columns of the square matrices multiplied.
        copy_mb: Size of the array copied; far beyond any cache.
        coreset_rows: Vectors chosen from, 784 of each of 209 images.
        coreset_share: Share of them chosen.
        reference_picks: First picks compared with the plain method.
        width: Channels of a vector.
        queries: Vectors looked up at once, a 28 x 28 grid.
        search_rows: Vectors in the bank searched.
        fit_images: Images learned from.
        image_px: Side of those images.
        score_bank: Vectors in the bank of the models compared with the peer.
        score_side: Working size compared with the peer, pixels.
        rounds: Timings of which the median is told, for what takes milliseconds.
        memory_images: Numbers of images whose fit is weighed.
        memory_px: Side of those images; at the default working size every grid is full.
        cold_rounds: Starts of which the median is told.
        peer_picks: Picks the peer is timed on.
    """

    gemm_side: int = 2048
    copy_mb: int = 256
    coreset_rows: int = 163_856
    coreset_share: float = 0.1
    reference_picks: int = 200
    width: int = 152
    queries: int = 784
    search_rows: int = 16_000
    fit_images: int = 209
    image_px: int = 900
    score_bank: int = 16_000
    score_side: int = 224
    rounds: int = 40
    memory_images: tuple[int, ...] = (1_000,)
    memory_px: int = 384
    cold_rounds: int = 5
    peer_picks: int = 100

    @property
    def coreset_picks(self) -> int:
        """How many vectors are chosen."""
        return round(self.coreset_rows * self.coreset_share)


FULL = Plan()
QUICK = Plan(
    gemm_side=1024,
    copy_mb=64,
    coreset_rows=15_680,
    reference_picks=50,
    search_rows=1_500,
    fit_images=20,
    image_px=450,
    score_bank=1_500,
    rounds=7,
    memory_images=(40,),
    cold_rounds=2,
    peer_picks=20,
)
