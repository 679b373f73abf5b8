"""The door: first set-up and sign-in."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from inspection.access import PUBLIC, allow
from inspection.errors import DomainError
from inspection.forms import SetupForm
from inspection.models import Person
from inspection.services.people import site_setup
from inspection.views import show_error


@allow(PUBLIC)
def setup(request: HttpRequest) -> HttpResponse:
    """Create the site and the first person; closed for good once there is one."""
    if Person.objects.exists():
        return redirect("home")
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            person = site_setup(**form.cleaned_data)
        except DomainError as error:
            show_error(form, error)
        else:
            login(request, person, backend=settings.AUTHENTICATION_BACKENDS[-1])
            messages.success(request, "Set up. Next: what is inspected.")
            return redirect("inspection:product-new")
    return render(request, "inspection/setup.html", {"form": form})


class SignInView(LoginView):
    """Django's sign-in; in demo mode the page shows the demo's logins."""

    redirect_authenticated_user = False

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the demo's logins, which no other mode knows."""
        context = super().get_context_data(**kwargs)
        if settings.DEMO:
            from config.demo import LOGINS

            context["demo_logins"] = [
                {"username": name, "password": password, "role": what}
                for name, password, what in LOGINS
            ]
        return context


sign_in = allow(PUBLIC)(SignInView.as_view())
sign_out = allow(PUBLIC)(LogoutView.as_view())
