"""How many pictures a second the web server takes in: ``python -m tests.measure.upload_rate``.

No model serves, so the worker only puts the images aside: what is measured is the request, with
the decoder's check, the files on disk and the commit. Scoring has the measure of its own.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from tests.installations import installation
from tests.measure.camera import Camera, make_pictures
from tests.measure.report import cores, note, show, spread
from tests.scene import Scene, make_scene

WARM_UP = 8  # the first requests import modules and start decoder children


@dataclass
class Answers:
    """What the clients heard."""

    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def main(words: Sequence[str]) -> int:
    """Measure and print; return 1 when a picture was refused or is not in the database."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.upload_rate")
    parser.add_argument("--posts", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if options.posts < 1 or options.clients < 1:
        parser.error("at least one post and one client")
    note("Making the pictures")
    pictures = make_pictures(options.posts + WARM_UP, first_seed=0)
    with installation({}) as stack:
        scene = make_scene(stack)
        _send(scene, pictures[:WARM_UP], "WARM", options.clients)
        note(f"Sending {options.posts} pictures")
        started = time.monotonic()
        answers = _send(scene, pictures[WARM_UP:], "SENT", options.clients)
        took_s = time.monotonic() - started
        kept = stack.ask("answer = Image.objects.filter(part__serial__startswith='SENT').count()")
    accepted = len(answers.seconds)
    show(
        {
            "posts": options.posts,
            "clients": options.clients,
            "accepted": accepted,
            "refused": len(answers.refusals),
            "in_the_database": kept,
            "accepted_per_s": round(accepted / took_s, 2),
            "answer_time": spread(answers.seconds),
            "cores": cores(),
        },
        as_json=options.json,
    )
    if answers.refusals:
        note("\n".join(answers.refusals[:3]))
    return 0 if accepted == kept == options.posts else 1


def _send(scene: Scene, pictures: Sequence[bytes], beginning: str, clients: int) -> Answers:
    """Send the pictures, dealt over the clients; each sends its next once the last is answered."""
    answers = Answers()
    fields = {"product": str(scene.product), "view": str(scene.view)}

    def run(first: int) -> None:
        with closing(Camera(scene.stack.port, scene.token, fields)) as camera:
            for number in range(first, len(pictures), clients):
                started = time.monotonic()
                refusal = camera.send(pictures[number], f"{beginning}-{number:05}")
                if refusal:
                    answers.refusals.append(refusal)
                else:
                    answers.seconds.append(time.monotonic() - started)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
