"""How long a file in the watched folder takes until a person can be shown its part.

``python -m tests.measure.folder_to_queue``: a whole installation on a temporary folder, cameras
that send good parts in the background, and defective parts dropped into the folder one by one.
A file's clock starts when it lies there whole and stops when its review item is in the database;
for a part that was not flagged, when it is routed.
"""

import argparse
import math
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from config.processes import SCHEDULER, WATCHER
from tests.installations import installation
from tests.measure.camera import SIZE, Camera, make_pictures
from tests.measure.report import Report, cores, note, show, spread
from tests.scene import Scene, make_scene

DEFECT = "hole"
NORMALS = 30
SETTLE_S = 2.0  # the product's own default
GAP_S = (0.5, 1.5)  # between two files, drawn evenly
POLL_S = 0.02
PATIENCE_S = 60.0  # after the last file: what has no outcome by then is lost
CAMERA_RATE = 2.0  # a second; a higher rate takes more cameras
DROPPED, SENT = "DROP", "SENT"  # how serials begin
# Seeds of normals, background and dropped parts must never meet.
SENT_FROM, DROPPED_FROM = 10_000, 20_000

_ROUTED = """
SELECT part.serial, part.outcome,
       EXISTS (SELECT 1 FROM review_reviewitem AS item WHERE item.part_id = part.id)
FROM inspection_part AS part WHERE part.serial LIKE ? AND part.outcome <> ''
"""
_FLAGS = ("review", "reject")


@dataclass
class Lookout:
    """Looks into the database, read-only, and notes when each part was first seen to be done."""

    path: Path
    items: dict[str, float] = field(default_factory=dict)  # serial -> when its item was there
    others: dict[str, float] = field(default_factory=dict)  # routed, and nobody has to look
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until told to stop."""
        with closing(self._open()) as database:
            while not self._stop.wait(POLL_S):
                rows = database.execute(_ROUTED, (f"{DROPPED}-%",)).fetchall()
                now = time.monotonic()
                for serial, outcome, has_item in rows:
                    if has_item:
                        self.items.setdefault(serial, now)
                    elif outcome not in _FLAGS:  # a flag without an item is not done
                        self.others.setdefault(serial, now)

    def stop(self) -> None:
        """End ``run``."""
        self._stop.set()

    def outcomes(self, beginning: str) -> list[str]:
        """Return the outcomes of the parts whose serial begins so, as far as they have one."""
        with closing(self._open()) as database:
            rows = database.execute(_ROUTED, (f"{beginning}-%",)).fetchall()
        return [outcome for _, outcome, _ in rows]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)


@dataclass
class Background:
    """Cameras that send one picture each, evenly over time, until stopped."""

    scene: Scene
    pictures: Sequence[bytes]
    rate: float
    accepted: int = 0
    refusals: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _started: float = 0.0

    def start(self) -> None:
        """Let the cameras run."""
        count = math.ceil(self.rate / CAMERA_RATE)
        self._started = time.monotonic()
        for number in range(count):
            thread = threading.Thread(target=self._run, args=(number, count), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop the cameras and wait for their last answers; a second stop changes nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self.seconds = time.monotonic() - self._started
        for thread in self._threads:
            thread.join()

    def _run(self, first: int, step: int) -> None:
        fields = {"product": str(self.scene.product), "view": str(self.scene.view)}
        with closing(Camera(self.scene.stack.port, self.scene.token, fields)) as camera:
            for number in range(first, len(self.pictures), step):
                due = self._started + number / self.rate
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                refusal = camera.send(self.pictures[number], f"{SENT}-{number:05}")
                with self._lock:
                    if refusal:
                        self.refusals.append(refusal)
                    else:
                        self.accepted += 1


def main(words: Sequence[str]) -> int:
    """Measure and print; return 1 when a file or a picture was lost or refused."""
    options = _options(words)
    rng = random.Random(options.seed)
    longest_s = options.files * GAP_S[1] + options.settle + PATIENCE_S / 2
    note("Making the pictures")
    dropped = make_pictures(options.files, first_seed=DROPPED_FROM, defect=DEFECT)
    sent = make_pictures(math.ceil(options.rate * longest_s), first_seed=SENT_FROM)
    with installation({"SECONDLOOK_WATCH_SETTLE_S": str(options.settle)}) as stack:
        scene = make_scene(stack)
        _audit_nothing(scene)
        note(f"Training the first model on {NORMALS} normals")
        scene.train_first(NORMALS, size=SIZE)
        stack.start(SCHEDULER, WATCHER)
        inbox = _inbox(scene)
        stack.wait_for(inbox.parent.parent.exists, "the watcher watches")
        inbox.mkdir(parents=True)
        lookout = Lookout(stack.data_dir / "secondlook.sqlite3")
        looking = threading.Thread(target=lookout.run)
        background = Background(scene, sent, options.rate)
        note(f"Dropping {options.files} files")
        looking.start()
        try:
            background.start()
            closed = _drop(dropped, inbox, rng)
            _wait(lambda: len(lookout.items.keys() | lookout.others.keys()) >= len(closed))
            background.stop()
            _wait(lambda: len(lookout.outcomes(SENT)) >= background.accepted)
        finally:
            lookout.stop()
            background.stop()
            looking.join()
        report = _report(closed, lookout, background, options)
        is_whole = not (report["lost_files"] or report["lost_pictures"] or background.refusals)
        if not is_whole:
            note("\n".join([*background.refusals[:3], stack.logs()]))
    show(report, as_json=options.json)
    return 0 if is_whole else 1


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.measure.folder_to_queue")
    parser.add_argument("--files", type=int, default=50, help="defective parts to drop")
    parser.add_argument("--rate", type=float, default=2.0, help="good parts a second besides")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="SECONDLOOK_WATCH_SETTLE_S")
    parser.add_argument("--seed", type=int, default=0, help="of the gaps between files")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if options.files < 1 or options.rate < 0:
        parser.error("at least one file, and no rate below 0")
    return options


def _audit_nothing(scene: Scene) -> None:
    """Let only flags become items, so that an item says that the part was flagged."""
    scene.stack.ask(
        "from inspection.services.policies import policy_change\n"
        f"product = Product.objects.get(pk={scene.product})\n"
        "policy_change(product=product, person=None, audit_rate=0.0)"
    )


def _inbox(scene: Scene) -> Path:
    names = scene.stack.ask(
        f"view = View.objects.get(pk={scene.view})\nanswer = [view.product.name, view.name]"
    )
    return scene.stack.data_dir.joinpath("inbox", *names)


def _drop(pictures: Sequence[bytes], inbox: Path, rng: random.Random) -> dict[str, float]:
    """Put the files into the folder, by turns under their final name and renamed to it.

    Returns:
        Serial -> when the file lay there whole, monotonic seconds.
    """
    closed = {}
    for number, picture in enumerate(pictures):
        time.sleep(rng.uniform(*GAP_S))
        serial = f"{DROPPED}-{number:05}"
        target = inbox / f"{serial}.jpg"
        if number % 2:
            unfinished = target.with_name(target.name + ".part")
            unfinished.write_bytes(picture)
            unfinished.rename(target)
        else:
            target.write_bytes(picture)
        closed[serial] = time.monotonic()
    return closed


def _wait(is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_done() and time.monotonic() < until:
        time.sleep(0.1)


def _report(
    closed: dict[str, float], lookout: Lookout, background: Background, options: argparse.Namespace
) -> Report:
    totals = [at - closed[serial] for serial, at in lookout.items.items()]
    others = [at - closed[serial] for serial, at in lookout.others.items()]
    routed = lookout.outcomes(SENT)
    return {
        "files": len(closed),
        "became_items": len(totals),
        "not_flagged": len(others),
        "lost_files": len(closed) - len(totals) - len(others),
        "settle_s": options.settle,
        "file_to_item": spread(totals),
        "the_same_without_settling": spread([total - options.settle for total in totals]),
        "file_to_routed_where_not_flagged": spread(others),
        "background_asked_per_s": options.rate,
        "background_per_s": round(background.accepted / background.seconds, 2),
        "background_accepted": background.accepted,
        "background_refused": len(background.refusals),
        "background_flagged": sum(outcome in _FLAGS for outcome in routed),
        "lost_pictures": background.accepted - len(routed),
        "cores": cores(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
