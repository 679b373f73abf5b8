"""Line messages on Postgres: ids are given before commit, and none is ever passed over."""

import psycopg
import pytest

from tests.stack import Stack

pytestmark = pytest.mark.flow

DEVICE = """
from tests import factories
line = factories.make_line("Cursor line")
factories.make_token("slk_cursor", "line:read", line=line)
answer = line.pk
"""
SECOND = """
from inspection.services.outbox import outbox_add
outbox_add("line", {{"n": 2}}, line=Line.objects.get(pk={line}))
answer = True
"""
READ = """
from inspection.selectors import line_messages
device = DeviceToken.objects.get(line={line})
answer = [row.payload["n"] for row in line_messages(device=device, after=0)]
"""
FIRST = """
INSERT INTO inspection_outbox (topic, line_id, payload, created_at)
VALUES ('line', %s, '{"n": 1}', now())
"""


def test_a_message_behind_an_unfinished_one_waits_for_it(plant_stack: Stack) -> None:
    line = plant_stack.ask(DEVICE)
    with psycopg.connect(plant_stack.environment["DATABASE_URL"]) as slow:
        slow.execute(FIRST, [line])  # has its id, is not committed
        assert plant_stack.ask(SECOND.format(line=line))
        assert plant_stack.ask(READ.format(line=line)) == []
        slow.commit()
    assert plant_stack.ask(READ.format(line=line)) == [1, 2]
