"""Tells a container's keeper whether its process does its work: ``python -m config.health web``.

Exit code 0 or 1, one line of why. The site's own page for people is another thing.
"""

import http.client
import os
import socket
import sys
from datetime import timedelta

# A worker shows a sign of life every 5 s; a training run may hold its worker for long.
SILENT_S = {"scoring": 60, "relay": 60, "watcher": 60, "training": 3600}


def web() -> str:
    """Return what is wrong with the web server of this host, or nothing."""
    from config import env, settings

    _, _, port = env.text("SECONDLOOK_BIND", "127.0.0.1:8000").rpartition(":")
    # A name that the site answers to; a leading dot stands for every name below it.
    host = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"the web server does not answer: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"the web server answers {status}"


def scheduler() -> str:
    """Return what is wrong for the scheduler: it only needs its broker."""
    from config import settings

    if not settings.REDIS_URL:
        return "" if settings.EMBEDDED_BROKER else "REDIS_URL is not set"
    import redis

    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        return f"the broker does not answer: {error}"
    return ""


def worker(kind: str) -> str:
    """Return what is wrong with the process of that kind on this host, by its signs of life."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.utils import timezone

    from inspection.models import WorkerBeat

    since = timezone.now() - timedelta(seconds=SILENT_S[kind])
    here = f" {socket.gethostname()[:60]} "
    if WorkerBeat.objects.filter(kind=kind, name__contains=here, seen_at__gte=since).exists():
        return ""
    return f"no sign of life from {kind} for {SILENT_S[kind]} s"


def wrong_with(name: str) -> str:
    """Return what is wrong with the named process, or nothing."""
    if name == "web":
        return web()
    if name == "scheduler":
        return scheduler()
    if name in SILENT_S:
        return worker(name)
    return f"there is no process {name!r}"


def main(arguments: list[str]) -> int:
    """Say what is wrong and return 1, or return 0."""
    found = wrong_with(arguments[0] if arguments else "")
    sys.stdout.write(f"{found or 'ok'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
