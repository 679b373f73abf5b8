"""With the broker gone, or silent, images still come in; they are scored once it is back."""

import json
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.processes import BROKER, RELAY, SCORING, TRAINING, WEB
from tests.scene import Scene, make_scene
from tests.stack import Stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

# A publish inside the request would wait longer for a silent broker (20 s and more, measured).
ANSWER_S = 10.0


def _upload(scene: Scene, seed: int) -> str:
    """Send one image as a camera does and return its part's serial."""
    boundary = uuid.uuid4().hex
    serial = f"AWAY-{seed}"
    fields = {"product": str(scene.product), "serial": serial, "capture_key": f"shot {seed}"}
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    body += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode()
    body += scene.picture(seed) + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(  # noqa: S310  # our own server on the loopback
        f"{scene.stack.base_url}/api/v1/images",
        data=body,
        headers={
            "Authorization": f"Bearer {scene.token}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        },
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as response:  # noqa: S310
        assert response.status == 201
        answer = json.load(response)
    assert answer["part"]["serial"] == serial
    return serial


@contextmanager
def _silent_broker(stack: Stack) -> Iterator[None]:
    """Somebody takes the broker's calls and never says a word."""
    path = Path(stack.environment["SECONDLOOK_BROKER_SOCKET"])
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield
    path.unlink(missing_ok=True)


def _states(stack: Stack) -> dict[str, int]:
    states: dict[str, int] = stack.ask(
        "from django.db.models import Count\n"
        "rows = ScoringJob.objects.values_list('state').annotate(n=Count('id'))\n"
        "answer = dict(rows)"
    )
    return states


def test_images_come_in_without_a_broker_and_are_scored_when_it_is_back(own_stack: Stack) -> None:
    stack = own_stack
    stack.start(BROKER, RELAY, TRAINING, WEB)
    scene = make_scene(stack)
    scene.train_first()
    stack.stop(TRAINING)

    stack.kill(BROKER)
    serials = [_upload(scene, seed) for seed in (1001, 1002)]
    with _silent_broker(stack):
        serials += [_upload(scene, seed) for seed in (1003, 1004)]
    assert _states(stack) == {"queued": 4}
    assert stack.alive(RELAY)

    stack.start(BROKER, SCORING)
    stack.wait_for(lambda: _states(stack) == {"done": 4}, "all are scored", timeout_s=120)
    scored = stack.ask("answer = sorted(Score.objects.values_list('image__part__serial'))")
    assert [row[0] for row in scored] == sorted(serials)
    stack.wait_for(
        lambda: stack.ask("answer = not Outbox.objects.filter(topic='score', sent_at=None)"),
        "the relay sent what waited",
        timeout_s=120,
    )
