"""Is the set-up usable? What a version's own figures say, in words. No reads, no writes."""

from dataclasses import dataclass
from typing import Any

from detection.statistics import lower_bound
from inspection.models import ModelVersion
from training.consequences import evaluation_at

# Where the two kinds hardly overlap a threshold between them exists; below the second figure
# most pictures of defects look like pictures of normals, whatever the threshold.
GOOD_AUROC = 0.95
POOR_AUROC = 0.80
GOOD_DETECTION, POOR_DETECTION = 0.90, 0.50
# Stopped good parts that are still worth reviewing, and those that drown the people: by the lower
# end of the interval, so that a few unlucky normals do not condemn a set-up.
MUCH_STOPPED, TOO_MUCH_STOPPED = 0.05, 0.30
ADVICE = (
    "Look at light, focus, position and the region of interest first, then add normals that "
    "show the usual variation."
)
MOST_STOPPED = (
    "Far too many good parts would be stopped: these known normals look unlike the ones it learned "
    "from, as goods of another day or lot do."
)
MOST_UNFLAGGED = (
    "Most known defects would pass, though their scores stand apart from the normal ones: one odd "
    "normal may have set review_from. Look through the most suspicious normals, or set it by hand."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One word with its tag (``met``, ``above usual``, ``not met``, ``too few``) and reasons."""

    word: str
    tag: str
    sentences: tuple[str, ...]


def setup_verdict(
    version: ModelVersion, *, basis: str, review_from: float | None = None
) -> Verdict:
    """Return whether the set-up behind a version can be worked with.

    Args:
        version: The fitted model.
        basis: What its threshold promises, in words.
        review_from: Its threshold; none: the one it was evaluated at.
    """
    evaluation = evaluation_at(version.metrics.get("evaluation") or {}, review_from)
    if not evaluation.get("n_defect"):
        return Verdict(
            "Usable to collect answers",
            "too few",
            (
                "Detection is unknown: no known defects were there to test with.",
                "Every flag goes to a person, so it can run beside the line; it must not be "
                "trusted to find defects yet. Add about ten of each type to the golden set.",
                basis,
            ),
        )
    rates = evaluation["rates"]
    found, n = rates["detection_rate"]["events"], rates["detection_rate"]["n"]
    caught = (
        f"{found} of {n} known defects are flagged (at least {100 * lower_bound(found, n):.0f} %, "
        "one-sided 95 %)."
    )
    auroc = evaluation.get("image_auroc")
    stopped = _stopped(rates["false_alarm_rate"])
    sentences = tuple(sentence for sentence in (caught, stopped, basis) if sentence)
    if auroc is None:
        return Verdict("Tested on defects alone", "too few", sentences)
    alarms = float(rates["false_alarm_rate"]["low"])
    if auroc < POOR_AUROC or alarms > TOO_MUCH_STOPPED or found < POOR_DETECTION * n:
        if alarms > TOO_MUCH_STOPPED:
            sentences = (*sentences, MOST_STOPPED)
        if auroc >= POOR_AUROC and found < POOR_DETECTION * n:
            sentences = (*sentences, MOST_UNFLAGGED)
        return Verdict("Not usable yet", "not met", (*sentences, ADVICE))
    if auroc < GOOD_AUROC or found < GOOD_DETECTION * n or alarms > MUCH_STOPPED:
        return Verdict("Usable with care", "above usual", (*sentences, ADVICE))
    return Verdict("Usable", "met", sentences)


def _stopped(rate: dict[str, Any]) -> str:
    if not rate["n"]:
        return ""
    return (
        f"{rate['events']} of {rate['n']} known normals would be stopped "
        f"(95 % interval {100 * rate['low']:.1f} to {100 * rate['high']:.1f} %)."
    )
