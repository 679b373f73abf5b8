"""Relay and scoring worker as real processes: killed, stopped and without their broker."""

import os
import signal

import pytest

from config.processes import BROKER, RELAY, SCORING
from tests.stack import Stack

pytestmark = pytest.mark.flow

# With no model an image ends as collected: the whole way of a job without an engine.
RECEIVE = """
from inspection.services.outbox import outbox_add
from tests import factories
view = View.objects.first() or factories.make_view()
for number in range({count}):
    job = factories.make_job(factories.make_image(view))
    outbox_add("score", {{"job_id": job.pk}})
answer = True
"""
STATES = "answer = list(ScoringJob.objects.exclude(state='collected').values_list('pk', 'state'))"
BEATS = "answer = list(WorkerBeat.objects.values_list('kind', flat=True))"


def _receive(stack: Stack, count: int) -> None:
    assert stack.ask(RECEIVE.format(count=count))


def _all_end(stack: Stack) -> None:
    stack.wait_for(lambda: stack.ask(STATES) == [], "every image has ended", timeout_s=60)


def test_no_job_is_lost_whoever_is_killed(own_stack: Stack) -> None:
    stack = own_stack
    stack.start(BROKER, RELAY, SCORING)
    _receive(stack, 20)
    _all_end(stack)

    stack.kill(BROKER)
    _receive(stack, 5)
    _all_end(stack)  # the worker looks at the rows while its bell is away
    stack.start(BROKER)

    stack.kill(SCORING)
    _receive(stack, 5)
    stack.ask("from django.utils import timezone; answer = ScoringJob.objects.filter(pk="
              "ScoringJob.objects.filter(state='queued').first().pk).update(state='running', "
              "attempts=1, lease_token='dead', lease_until=timezone.now())")  # fmt: skip
    stack.start(SCORING)
    _all_end(stack)

    stack.kill(RELAY)
    _receive(stack, 5)
    _all_end(stack)  # nobody rang
    stack.start(RELAY)
    stack.wait_for(
        lambda: stack.ask("answer = Outbox.objects.filter(sent_at=None).count()") == 0,
        "the relay sends what it missed",
    )
    told = stack.ask("answer = Outbox.objects.filter(topic='line').count()")
    assert told == 35  # every part once
    assert stack.stop(SCORING) == 0
    assert stack.stop(RELAY) == 0
    # Those that were killed are still there; those that were stopped said goodbye.
    assert sorted(stack.ask(BEATS)) == ["relay", "scoring"]


def test_without_a_broker_the_worker_polls(own_stack: Stack) -> None:
    stack = own_stack
    stack.environment["SECONDLOOK_NO_BROKER"] = "1"
    stack.start(SCORING)
    _receive(stack, 3)
    _all_end(stack)
    assert stack.ask(BEATS) == ["scoring"]
    os.kill(stack._running[SCORING].pid, signal.SIGINT)
    stack.wait_for(lambda: not stack.alive(SCORING), "the worker ends")
    assert stack.stop(SCORING) == 0
