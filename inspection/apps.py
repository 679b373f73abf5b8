"""App configuration of inspection."""

from django.apps import AppConfig


class InspectionConfig(AppConfig):
    """Registers receivers and checks at start."""

    name = "inspection"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what must happen in the same transaction as a lower app's write."""
        from inspection import receivers

        receivers.register()
