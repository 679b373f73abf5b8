"""What the model says of a part: read only after a look or an answer of the same person."""

from typing import Any

from django.urls import reverse

from inspection.errors import NotAllowedError
from inspection.models import Image, Person, PolicyThreshold, Routing, Score
from review.models import ReviewItem
from review.selectors.sight import has_seen
from review.selectors.station import image_url, ordered_images


def reveal_of(person: Person, item: ReviewItem) -> dict[str, Any]:
    """Return scores, heat, regions, outcome and reasons of the item's part.

    Raises:
        NotAllowedError: The person has neither looked nor answered yet.
    """
    if not has_seen(person, item):
        raise NotAllowedError("What the model says opens with a look, or after your answer.")
    routing = item.routing
    scores = {
        score.image_id: score
        for score in routing.scores.select_related("model_version__view").order_by("id")
    }
    images = [image for image in ordered_images(item.part, routing.round) if image.pk in scores]
    normals = _known_images({_normal_id(score) for score in scores.values()})
    threshold = threshold_of(routing)
    return {
        "images": [_shown(image, scores[image.pk], normals) for image in images],
        "outcome": routing.outcome,
        "reasons": [
            str(reason.get("message", reason.get("code", ""))) for reason in routing.reasons
        ],
        "review_from": threshold.review_from if threshold is not None else None,
        "reject_from": threshold.reject_from if threshold is not None else None,
        "policy_version": routing.policy.version if routing.policy is not None else None,
    }


def threshold_of(routing: Routing) -> PolicyThreshold | None:
    """Return the thresholds that the part's worst image was held against."""
    score, policy = routing.worst_score, routing.policy
    if score is None or policy is None:
        return None
    return policy.thresholds.filter(model_version_id=score.model_version_id).first()


def surprise_words(surprise: float, normals: int) -> str:
    """Return surprise as a sentence about the calibration normals."""
    if normals <= 0:
        return "No normal images to compare with."
    as_odd = round(surprise * (normals + 1)) - 1
    if as_odd <= 0:
        return f"Odder than all {normals:,} normal images."
    looks = "looks" if as_odd == 1 else "look"
    return f"{as_odd:,} of {normals:,} normal images {looks} at least as odd."


def _shown(image: Image, score: Score, normals: dict[str, int]) -> dict[str, Any]:
    version = score.model_version
    scale = version.view.mm_per_pixel
    return {
        "image_id": image.pk,
        "score": score.value,
        "surprise": score.surprise,
        "surprise_words": surprise_words(score.surprise, version.calibration_count),
        "model_version": str(version),
        "heat_url": reverse("score-heat", args=[score.pk]) if score.heat_id else None,
        "map_max": version.heat_top,
        "pixel_threshold": version.pixel_threshold,
        "heat_from": version.pixel_threshold,
        "heat_to": version.heat_top,
        "regions": [
            {**region, "area_mm2": region["area_px"] * scale**2 if scale else None}
            for region in score.regions
        ],
        "explanation": _explained(score, normals),
    }


def _explained(score: Score, normals: dict[str, int]) -> dict[str, Any] | None:
    said = score.explanation
    if not said:
        return None
    normal_id = normals.get(_normal_id(score))
    return {
        "words": (
            f"The hottest place lies {said['distance']:.2f} from the nearest normal patch; "
            f"the score is {score.value:.2f}."
        ),
        "normal_image_id": normal_id,
        "normal_url": image_url("preview", normal_id) if normal_id is not None else None,
        "normal_place_xy": said.get("normal_place_xy"),
        "place_xy": said.get("place_xy"),
    }


def _normal_id(score: Score) -> str:
    return str((score.explanation or {}).get("normal_id", ""))


def _known_images(ids: set[str]) -> dict[str, int]:
    """Return which of the model's image names are images of ours: their number, or their bytes."""
    numbers = {int(name) for name in ids if name.isdecimal()}
    hashes = {name for name in ids if len(name) == 64}
    known = {
        str(pk): pk for pk in Image.objects.filter(pk__in=numbers).values_list("pk", flat=True)
    }
    if hashes:
        rows = Image.objects.filter(blob__in=hashes).order_by("-pk").values_list("blob_id", "pk")
        known.update(dict(rows))
    return known
