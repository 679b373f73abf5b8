"""The Django project: settings, addresses, Celery, supervisor. It wires; no business here."""
