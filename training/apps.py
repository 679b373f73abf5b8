"""App configuration of training."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Registers receivers and the training queue at start."""

    name = "training"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what must happen in the same transaction as a lower app's write."""
        from training import receivers

        receivers.register()
