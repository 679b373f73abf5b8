"""Forms of inspection's pages: shape and field checks only. Import them from here."""

from inspection.forms.parts import HoldForm
from inspection.forms.people import DeviceForm, PasswordForm, PersonForm, RoleForm
from inspection.forms.places import LineForm, SetupForm, StationForm
from inspection.forms.products import (
    DefectTypeFormSet,
    ProductForm,
    ViewFormSet,
    defect_type_initial,
    product_initial,
    view_initial,
)

__all__ = [
    "DefectTypeFormSet",
    "DeviceForm",
    "HoldForm",
    "LineForm",
    "PasswordForm",
    "PersonForm",
    "ProductForm",
    "RoleForm",
    "SetupForm",
    "StationForm",
    "ViewFormSet",
    "defect_type_initial",
    "product_initial",
    "view_initial",
]
