"""The records of inspection. Import them from here."""

from inspection.models.jobs import Outbox, ScoringJob, WorkerBeat
from inspection.models.parts import Blob, Image, LateOutcome, Part
from inspection.models.people import DeviceToken, Event, Membership, Person, Role
from inspection.models.places import Line, Site, Station
from inspection.models.policies import Outcome, Policy, PolicyThreshold, Routing
from inspection.models.products import DefectType, Product, View
from inspection.models.registry import ModelVersion, Promotion
from inspection.models.scores import HealthSample, Score

__all__ = [
    "Blob",
    "DefectType",
    "DeviceToken",
    "Event",
    "HealthSample",
    "Image",
    "LateOutcome",
    "Line",
    "Membership",
    "ModelVersion",
    "Outbox",
    "Outcome",
    "Part",
    "Person",
    "Policy",
    "PolicyThreshold",
    "Product",
    "Promotion",
    "Role",
    "Routing",
    "Score",
    "ScoringJob",
    "Site",
    "Station",
    "View",
    "WorkerBeat",
]
