"""App configuration of review."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Registers receivers and checks at start."""

    name = "review"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what must happen in the same transaction as a lower app's write."""
        from review import receivers

        receivers.register()
