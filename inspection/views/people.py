"""People and their roles."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from inspection.access import ADMINS, allow, may, person_of
from inspection.errors import DomainError, NotFoundError
from inspection.forms import PasswordForm, PersonForm, RoleForm
from inspection.models import Person, Role
from inspection.selectors import people_of
from inspection.services.people import (
    membership_add,
    membership_remove,
    person_create,
    person_set_active,
    person_set_password,
)
from inspection.views import show_error


@allow(*ADMINS)
def people(request: HttpRequest) -> HttpResponse:
    """List everybody, and create somebody."""
    by = person_of(request)
    form = PersonForm(request.POST or None, person=by)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            person = person_create(
                by=by, username=data["username"], full_name=data["full_name"],
                password=data["password"], roles=[Role(role) for role in data["roles"]],
                line=form.chosen_line(),
            )  # fmt: skip
        except DomainError as error:
            show_error(form, error)
        else:
            messages.success(request, f"{person.display_name} can sign in now.")
            return redirect("inspection:people")
    return render(request, "inspection/people.html", {"people": people_of(by), "form": form})


@allow(*ADMINS)
def one_person(request: HttpRequest, person_id: int) -> HttpResponse:
    """Change somebody's roles, password, or whether they may sign in."""
    by = person_of(request)
    found = people_of(by).filter(pk=person_id).first()
    if found is None:
        raise NotFoundError("There is no such person.")
    action = request.POST.get("action", "")
    role_form = RoleForm(request.POST if action == "add" else None, person=by)
    password_form = PasswordForm(request.POST if action == "password" else None)
    if request.method == "POST":
        try:
            done = _change(by, found, action, request, role_form, password_form)
        except DomainError as error:
            messages.error(request, error.message)
            return redirect("inspection:person", person_id=found.pk)
        if done:
            messages.success(request, done)
            return redirect("inspection:person", person_id=found.pk)
    context = {
        "found": found,
        "role_form": role_form,
        "password_form": password_form,
        "administers_all": may(by, None, ADMINS),
    }
    return render(request, "inspection/person.html", context)


def _change(
    by: Person,
    found: Person,
    action: str,
    request: HttpRequest,
    role_form: RoleForm,
    password_form: PasswordForm,
) -> str:
    """Do what a button asks and return what to say; empty when its form has errors."""
    if action == "add" and role_form.is_valid():
        role = Role(role_form.cleaned_data["role"])
        membership_add(by=by, person=found, role=role, line=role_form.chosen_line())
        return "The role is given."
    if action == "password" and password_form.is_valid():
        person_set_password(by=by, person=found, password=password_form.cleaned_data["password"])
        return "The new password holds from now on."
    if action == "remove":
        number = request.POST.get("membership", "")
        membership = next((one for one in found.memberships.all() if str(one.pk) == number), None)
        if membership is None:
            raise NotFoundError("That role was taken away already.")
        membership_remove(by=by, membership=membership)
        return "The role is taken away."
    if action in {"activate", "deactivate"}:
        person_set_active(by=by, person=found, is_active=action == "activate")
        return "They can sign in again." if action == "activate" else "They cannot sign in now."
    return ""
