"""A Django process of a stack that answers questions about its database, one line each.

The other end of ``Stack.ask``. Reads ``{"code": ...}``, runs it with every model at hand, writes
``{"answer": ...}`` or ``{"error": ...}``. For tests only.
"""

import json
import sys
import traceback


def main() -> None:
    """Answer until the input ends."""
    import django

    django.setup()
    from django.apps import apps
    from django.db import close_old_connections
    from django.utils import timezone

    models = {model.__name__: model for model in apps.get_models()}
    for line in sys.stdin:
        names: dict[str, object] = {**models, "timezone": timezone, "answer": None}
        try:
            exec(json.loads(line)["code"], names)  # noqa: S102  # code from the test itself
            reply = json.dumps({"answer": names["answer"]}, default=str)
        except Exception:  # the test shows it
            reply = json.dumps({"error": traceback.format_exc()})
        close_old_connections()
        print(reply, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
