"""One model version: what it is worth, what it is made of, and the two ways to let it serve."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MAKERS, allow, person_of
from inspection.errors import DomainError
from inspection.models import ModelVersion, PolicyThreshold, Promotion
from inspection.selectors.products import policy_in_force
from inspection.selectors.thresholds import first_threshold_of, threshold_of
from inspection.services.registry import serving_version
from training.consequences import consequence_of, evaluation_at
from training.figures import precision_recall_figure, roc_figure, scores_figure
from training.forms import ReasonForm, ThresholdsForm
from training.models import Run
from training.selectors import version_of
from training.selectors.views import zone_of
from training.services.promotion import promote, rollback
from training.verdicts import setup_verdict

PROMOTIONS_SHOWN = 10
SMALLEST = "the smallest tenth by area, of any type"


@require_safe
@allow(*MAKERS)
def version(request: HttpRequest, version_id: int) -> HttpResponse:
    """Show a version."""
    return version_page(request, version_of(person_of(request), version_id))


def version_page(
    request: HttpRequest, found: ModelVersion, *, thresholds_form: ThresholdsForm | None = None
) -> HttpResponse:
    """Return a version's page, with a form of thresholds that was sent and refused if there is."""
    serving = serving_version(found.view)
    is_serving = serving is not None and serving.pk == found.pk
    threshold = threshold_of(found)
    first = _first(found)
    at = threshold.review_from if threshold is not None else None
    stored: dict[str, Any] | None = found.metrics.get("evaluation")
    evaluation = evaluation_at(stored, at) if stored else None
    basis = threshold.basis if threshold is not None else (first.sentence if first else "")
    line = threshold or (first.review_from if first else None)
    promotions = Promotion.objects.filter(version=found).select_related("by").order_by("-id")
    context = {
        "version": found,
        "view": found.view,
        "zone": zone_of(found.view),
        "run": Run.objects.filter(model_version=found).select_related("snapshot").first(),
        "serving": serving,
        "is_serving": is_serving,
        "served_before": promotions.exists(),
        "promotions": list(promotions[:PROMOTIONS_SHOWN]),
        "threshold": threshold,
        "basis": basis,
        "evaluation": evaluation,
        "verdict": (
            setup_verdict(found, basis=basis, review_from=at)
            if found.metrics.get("calibration")
            else None
        ),
        "tiles": _tiles(evaluation) if evaluation else [],
        "by_type": _by_type(evaluation) if evaluation else [],
        "scores": scores_figure(found, line) if found.metrics.get("calibration") else None,
        "curves": _curves(evaluation),
        "facts": _facts(found),
        "change": _change(found, serving, threshold, first),
        "form": ReasonForm(),
        "thresholds_form": thresholds_form or _thresholds_form(threshold) if is_serving else None,
        "consequence": _consequence(found, threshold, thresholds_form) if is_serving else [],
        "policy": policy_in_force(found.view.product),
    }
    status = 400 if thresholds_form is not None else 200
    return render(request, "training/version.html", context, status=status)


def _thresholds_form(threshold: PolicyThreshold | None) -> ThresholdsForm:
    if threshold is None:
        return ThresholdsForm()
    # In full: a promise holds for this very number, not for a rounded one.
    return ThresholdsForm(
        initial={"review_from": threshold.review_from, "reject_from": threshold.reject_from}
    )


def _consequence(
    found: ModelVersion, threshold: PolicyThreshold | None, sent: ThresholdsForm | None
) -> list[str]:
    """Return what the pair that the form shows would do."""
    if sent is not None and {"review_from", "reject_from"} <= sent.cleaned_data.keys():
        pair = sent.cleaned_data
        return consequence_of(
            found, review_from=pair["review_from"], reject_from=pair["reject_from"]
        )
    if sent is not None or threshold is None:
        return []
    return consequence_of(
        found, review_from=threshold.review_from, reject_from=threshold.reject_from
    )


def _first(found: ModelVersion) -> Any:
    return first_threshold_of(found) if found.metrics.get("calibration") else None


def _curves(evaluation: dict[str, Any] | None) -> list[Any]:
    if not evaluation or not evaluation["n_normal"] or not evaluation["n_defect"]:
        return []
    return [roc_figure(evaluation), precision_recall_figure(evaluation)]


def _tiles(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of the golden set, each with its n."""
    images = f"{evaluation['n_defect']} defects, {evaluation['n_normal']} normals"
    masks = f"{evaluation['n_mask_regions']} marked places"
    tiles = [
        ("Image AUROC", "image_auroc", images),
        ("Pixel AUROC", "pixel_auroc", masks),
        ("AUPRO, up to 0.3", "aupro", masks),
    ]
    shown = [
        _tile(label, evaluation[name], evaluation["intervals"][name], n) for label, name, n in tiles
    ]
    for label, rate in (
        ("Defects flagged", evaluation["rates"]["detection_rate"]),
        ("Normals stopped", evaluation["rates"]["false_alarm_rate"]),
    ):
        value = "-" if rate["value"] is None else f"{100 * rate['value']:.1f} %"
        shown.append(
            {
                "label": label,
                "value": value,
                "interval": f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f} %",
                "sentence": f"{rate['events']} of {rate['n']}, 95 % interval, at review_from",
            }
        )
    shown.append(
        {
            "label": "Time for one image",
            "value": f"{evaluation['ms_per_image']:.0f} ms",
            "sentence": "median, on the machine that trained it",
        }
    )
    return shown


def _tile(
    label: str, value: float | None, interval: list[float] | None, sentence: str
) -> dict[str, Any]:
    tile = {"label": label, "value": "-" if value is None else f"{value:.3f}"}
    if interval is not None:
        tile["interval"] = f"{interval[0]:.3f} to {interval[1]:.3f}"
        sentence += ", 95 % interval"
    return tile | {"sentence": sentence}


def _by_type(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the detection of each type, then of the smallest defects of any type."""
    rows = [(name, rate["events"], rate) for name, rate in evaluation["detection_by_type"].items()]
    if (smallest := evaluation["smallest_tenth"]) is not None:
        rows.append((SMALLEST, smallest["found"], smallest))
    return [
        {
            "name": name,
            "events": found,
            "n": rate["n"],
            "low": f"{100 * rate['low']:.0f}",
            "high": f"{100 * rate['high']:.0f}",
        }
        for name, found, rate in rows
    ]


def _facts(found: ModelVersion) -> list[tuple[str, str]]:
    manifest = found.manifest
    packages = ", ".join(
        f"{name} {number}" for name, number in manifest.get("packages", {}).items()
    )
    calibration = f"{found.calibration_count} scores, {found.calibration_kind}"
    return [
        ("Method", found.method),
        ("Backbone", manifest.get("backbone") or "none"),
        ("Calibration", calibration),
        ("Normals given, calibration included", str(found.metrics.get("normals", "not recorded"))),
        ("Lots or days among them", str(found.metrics.get("groups", "not recorded"))),
        ("Pixel threshold", f"{found.pixel_threshold:.4g}"),
        ("Size", f"{found.size_bytes / 1024**2:.1f} MB"),
        ("Fitted in", f"{found.fit_seconds:.1f} s"),
        ("Seed", str(manifest.get("seed", ""))),
        ("Packages", packages or "not recorded"),
        ("Manifest sha256", found.manifest_sha256),
    ]


def _change(
    found: ModelVersion,
    serving: ModelVersion | None,
    threshold: PolicyThreshold | None,
    first: Any,
) -> list[str]:
    """Return what letting this version serve changes, before it is done."""
    if serving is not None and serving.pk == found.pk:
        return []
    policy = policy_in_force(found.view.product)
    before = f"{serving}" if serving is not None else "no model"
    lines = [f"The next images of {found.view} are scored by {found} instead of {before}."]
    at = threshold.review_from if threshold is not None else (first.review_from if first else None)
    kept = "as it last had it" if threshold is not None else "from its own held-out normals"
    old = threshold_of(serving) if serving is not None else None
    if at is not None:
        was = f" (now {old.review_from:.3g} on the scale of {serving})" if old is not None else ""
        lines.append(f"review_from becomes {at:.3g}, {kept}{was}.")
    rejects = threshold is not None and threshold.reject_from is not None
    lines.append("reject_from comes back too." if rejects else "Nothing is rejected by machine.")
    lines.append(
        f"Policy {policy.version} becomes policy {policy.version + 1}; the rest of it stays."
    )
    if serving is None:
        lines.append("Images that were only collected so far are scored now.")
    else:
        lines.append(f"{serving} stays and can be rolled back to; scores it gave keep its name.")
    return lines


@require_POST
@allow(*MAKERS)
def promote_version(request: HttpRequest, version_id: int) -> HttpResponse:
    """Let a version serve."""
    return _serve(request, version_id, promote, "serves now.")


@require_POST
@allow(*MAKERS)
def roll_back(request: HttpRequest, version_id: int) -> HttpResponse:
    """Let a version serve again."""
    return _serve(request, version_id, rollback, "serves again.")


def _serve(
    request: HttpRequest, version_id: int, service: Callable[..., Promotion], words: str
) -> HttpResponse:
    person = person_of(request)
    found = version_of(person, version_id)
    try:
        service(version=found, person=person, reason=request.POST.get("reason", ""))
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{found} {words}")
    return redirect("training:version", found.pk)
