"""Two addresses that belong to no app: the door and the health check."""

from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import redirect

from inspection.access import PUBLIC, allow, roles_of
from inspection.models import Person, Role


@allow(PUBLIC)
def home(request: HttpRequest) -> HttpResponseBase:
    """Send everybody to the page they open most; a new installation to its set-up."""
    if not Person.objects.exists():
        return redirect("inspection:setup")
    if not isinstance(request.user, Person):
        return redirect("login")
    roles = roles_of(request.user)
    if Role.OPERATOR in roles:
        return redirect("review:station")
    if Role.SUPERVISOR in roles:
        return redirect("review:shift")
    if Role.ENGINEER in roles:
        return redirect("training:models")
    return redirect("inspection:products")


@allow(PUBLIC)
def health(request: HttpRequest) -> HttpResponseBase:
    """Answer 200 when this process reaches the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
