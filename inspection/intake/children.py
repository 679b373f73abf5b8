"""A few long-lived decoder children, for every thread of this process.

Each child is a fresh interpreter (no fork of a threaded server) with limits on memory, CPU and
time. One that dies or hangs is replaced; the image that did it is refused.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inspection.errors import BusyError, RefusedImageError
from inspection.intake.frames import BrokenFrameError, receive_frame, send_frame

TIMEOUT_S: Final = 30.0  # the slowest of some 400 hostile files took 2.3 s
MAX_IMAGES_PER_CHILD: Final = 5000  # what a decoder leaks does not grow for ever
HOUSE: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = (sys.executable, "-W", "ignore", "-m", "inspection.intake.child")


@dataclass(frozen=True, slots=True)
class Examined:
    """What the decoder found: sizes are upright; ``derived`` only where a copy is needed."""

    width: int
    height: int
    content_type: str
    preview: bytes
    thumbnail: bytes
    derived: bytes | None


class ChildGoneError(Exception):
    """The child died, or spoke nonsense."""


class DecoderChild:
    """One child process and the line to it."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self.asked = 0
        self._line, theirs = socket.socketpair()
        with theirs:
            # No secret goes along: only what the interpreter needs to start.
            environment = {
                "PATH": os.environ.get("PATH", ""),
                "LANG": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
            }
            self._process = subprocess.Popen(  # noqa: S603  our own module, no outside input
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=HOUSE,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def ask(
        self, data: bytes, *, bit_depth: int | None, timeout_s: float
    ) -> tuple[dict[str, Any], bytes]:
        """Return the child's answer.

        Raises:
            TimeoutError: No whole answer in time; the child must be killed.
            ChildGoneError: It died over it.
        """
        self.asked += 1
        started = time.monotonic()
        try:
            send_frame(self._line, {"bit_depth": bit_depth}, data, timeout_s=timeout_s)
            left = max(timeout_s - (time.monotonic() - started), 0.001)
            return receive_frame(self._line, timeout_s=left)
        except TimeoutError:
            raise
        except (BrokenFrameError, OSError) as error:
            raise ChildGoneError(str(error)) from error

    def kill(self) -> None:
        """End the process at once."""
        self._line.close()
        self._process.kill()
        self._process.wait()


class DecoderPool:
    """Hands images to idle children; starts them when needed, up to ``size``."""

    def __init__(
        self,
        *,
        size: int,
        timeout_s: float = TIMEOUT_S,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self.timeout_s = timeout_s
        self._command = command
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[DecoderChild] = []

    def examine(self, data: bytes, *, bit_depth: int | None = None) -> Examined:
        """Return what a child found in the bytes.

        Raises:
            RefusedImageError: With the decoder's code in ``extra['reason']``; ``too_slow`` and
                ``decoder_died`` where the image took the child with it.
            BusyError: Every child is at work for longer than an image may take.
        """
        if not self._slots.acquire(timeout=self.timeout_s):
            raise BusyError("Every decoder is at work. Send the image again in a moment.")
        try:
            header, body = self._ask(data, bit_depth)
        finally:
            self._slots.release()
        if "refused" in header:
            raise RefusedImageError(str(header["message"]), {"reason": str(header["refused"])})
        return _examined(header, body)

    def close(self) -> None:
        """End every idle child."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def idle_pids(self) -> list[int]:
        """Return the children that wait for work."""
        with self._lock:
            return [child.pid for child in self._idle]

    def _ask(self, data: bytes, bit_depth: int | None) -> tuple[dict[str, Any], bytes]:
        # Twice: the system may have killed the first child for another's memory.
        for _ in range(2):
            child = self._take()
            try:
                answer = child.ask(data, bit_depth=bit_depth, timeout_s=self.timeout_s)
            except TimeoutError:
                child.kill()
                raise RefusedImageError(
                    f"The image took longer than {self.timeout_s:g} s to decode.",
                    {"reason": "too_slow"},
                ) from None
            except ChildGoneError:
                child.kill()
                continue
            except BaseException:
                child.kill()
                raise
            self._give_back(child)
            return answer
        raise RefusedImageError(
            "The decoder stopped at this file twice. Save the image again as PNG.",
            {"reason": "decoder_died"},
        )

    def _take(self) -> DecoderChild:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        if child is not None and not child.is_alive():
            child.kill()
            child = None
        return child or DecoderChild(self._command)

    def _give_back(self, child: DecoderChild) -> None:
        if child.asked >= MAX_IMAGES_PER_CHILD:
            child.kill()
            return
        with self._lock:
            self._idle.append(child)


def _examined(header: dict[str, Any], body: bytes) -> Examined:
    facts, lengths = header["facts"], header["lengths"]
    files, position = [], 0
    for length in lengths:
        files.append(body[position : position + length])
        position += length
    return Examined(
        width=int(facts["width"]),
        height=int(facts["height"]),
        content_type=str(facts["content_type"]),
        preview=files[0],
        thumbnail=files[1],
        derived=files[2] if len(files) > 2 else None,
    )


_pool: DecoderPool | None = None
_pool_lock = threading.Lock()


def decoder_pool() -> DecoderPool:
    """Return this process's children, made at first use."""
    global _pool  # noqa: PLW0603  one pool a process is the point
    with _pool_lock:
        if _pool is None:
            _pool = DecoderPool(size=max(2, min(4, os.cpu_count() or 2)))
        return _pool


def close_decoder_pool() -> None:
    """End the children of this process."""
    global _pool
    with _pool_lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


def _forget_after_fork() -> None:
    """A forked process has children of its own: those of its parent are not its to talk to."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(close_decoder_pool)
