"""The whole loop as three people live it: real Chromium, workers, broker, database.

The same story on one PC (SQLite, embedded broker) and in a plant (Postgres, Redis).
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import sign_in
from tests.installations import installation
from tests.plant import postgres_server, redis_server
from tests.scene import PASSWORD, Scene, make_scene
from tests.stack import Stack

# Two fits of real weights on whatever else the machine does.
pytestmark = [pytest.mark.browser, pytest.mark.flow, pytest.mark.timeout(900)]

# Parts with and without a hole in the cloth: the story needs five flags to answer.
SEEDS = range(100, 110)
# A new part is deaf for a quarter of a second, so that no key meant for the last one answers it.
DEAF_MS = 400
TRIES = 10


@pytest.fixture(params=["one PC", "plant"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A line whose first model serves, in an installation that nobody else has written to."""
    with ExitStack() as running:
        extra = {}
        if request.param == "plant":
            extra["DATABASE_URL"] = running.enter_context(postgres_server())
            extra["REDIS_URL"] = running.enter_context(redis_server())
        yield _scene(running.enter_context(installation(extra)))


def _scene(stack: Stack) -> Scene:
    scene = make_scene(stack)
    scene.train_first()
    # No audits: every number of the shift page is then known beforehand.
    stack.ask(
        "from inspection.services.policies import policy_change\n"
        f"product = Product.objects.get(pk={scene.product})\n"
        "policy_change(product=product, person=None, audit_rate=0.0)"
    )
    return scene


def _upload(page: Page, scene: Scene, folder: Path, seeds: range, *, good_every: int) -> None:
    """Send parts through the upload page, named by their serials."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for seed in seeds:
        defect = None if seed % good_every == 0 else "hole"
        path = folder / f"PART-{seed}.png"
        path.write_bytes(scene.picture(seed, defect))
        files.append(path)
    page.goto(f"{scene.stack.base_url}/upload/")
    page.check("#names")
    page.set_input_files("#files", [str(path) for path in files])
    expect(page.locator("#count")).to_contain_text(f"{len(files)}", timeout=30_000)
    scene.stack.wait_for(
        lambda: (
            scene.stack.ask(
                f"answer = Part.objects.filter(serial__in={[path.stem for path in files]})"
                ".exclude(outcome='').count()"
            )
            == len(files)
        ),
        "all parts have an outcome",
        timeout_s=90,
    )


def _shift_numbers(page: Page, scene: Scene) -> dict[str, int]:
    page.goto(f"{scene.stack.base_url}/shift/")
    labels = page.locator("dl.facts dt").all_inner_texts()
    values = page.locator("dl.facts dd").all_inner_texts()
    found = {
        label: int(value.replace(",", "")) for label, value in zip(labels, values, strict=True)
    }
    waiting = page.locator("h2", has_text=re.compile("^Queue$")).locator("xpath=..")
    found["waiting"] = int(re.findall(r"\d+", waiting.inner_text().replace(",", ""))[0])
    return found


def _answer(page: Page, key: str) -> str:
    """Answer the part on screen with a key and return its serial, once the next one stands."""
    before = page.locator("[data-station=serial]").inner_text()
    _press(page, key, "[data-station=serial]", re.compile(f"^(?!{re.escape(before)}$)"))
    return before


def _press(page: Page, key: str, watched: str, becomes: str | re.Pattern[str]) -> None:
    """Press a key, again where the part was not in sight yet, until the page shows its effect.

    A key that was heard shows within a frame, so a second press never answers a second part.
    """
    for _ in range(TRIES):
        page.wait_for_timeout(DEAF_MS)
        page.keyboard.down(key)
        try:
            expect(page.locator(watched)).to_have_text(becomes, timeout=2_000)
        except AssertionError:
            page.keyboard.up(key)
        else:
            page.keyboard.up(key)
            return
    raise AssertionError(f"{key} did nothing: {page.locator(watched).inner_text()!r}")


def _decided(scene: Scene) -> list[list[str]]:
    """Return [serial, verdict] of the answers that count, oldest first."""
    found: list[list[str]] = scene.stack.ask(
        "rows = ReviewItem.objects.filter(state='answered').order_by('decision_id')\n"
        "answer = [list(row) for row in rows.values_list('part__serial', 'decision__verdict')]"
    )
    return found


def test_the_whole_loop(scene: Scene, browser: Browser, tmp_path: Path) -> None:
    stack = scene.stack
    engineer = sign_in(browser, stack.base_url, "engineer", PASSWORD)
    supervisor = sign_in(browser, stack.base_url, "supervisor", PASSWORD)
    operator = sign_in(browser, stack.base_url, "operator", PASSWORD)

    # Images come in and are scored by the worker.
    _upload(engineer, scene, tmp_path / "first", SEEDS, good_every=5)
    before = _shift_numbers(supervisor, scene)
    assert before["parts seen"] == len(SEEDS)
    assert before["to review"] >= 5, "the model should flag holes"
    assert before["waiting"] == before["to review"]

    # The operator answers five by keyboard and takes the last one back.
    operator.goto(f"{stack.base_url}/review/")
    serial = operator.locator("[data-station=serial]")
    expect(serial).to_contain_text("PART-", timeout=15_000)
    expect(operator.locator("[data-station=state]")).to_contain_text("raw picture")
    _press(operator, "Space", "[data-says=title]", "Why flagged")
    answers = {_answer(operator, key): key for key in "fj"}
    answers |= {_answer(operator, key): key for key in "fj"}
    last = _answer(operator, "f")
    _press(operator, "z", "[data-station=serial]", last)
    verdicts = {"f": "defect", "j": "good"}
    expected = [[name, verdicts[key]] for name, key in answers.items()]
    stack.wait_for(lambda: _decided(scene) == expected, "the four answers that count are there")
    assert stack.ask("answer = Decision.objects.count()") == 6  # five answers and one undo

    # The supervisor's numbers changed by exactly that.
    after = _shift_numbers(supervisor, scene)
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {"defects confirmed": 2, "false alarms": 2, "waiting": -4}

    # The engineer retrains with the two confirmed normals and promotes the candidate.
    engineer.goto(f"{stack.base_url}/models/{scene.view}/")
    engineer.get_by_role("button", name="Train", exact=True).click()
    look = engineer.get_by_role("link", name=re.compile("^Look at v2"))
    expect(look).to_be_visible(timeout=400_000)
    learned = stack.ask(
        "run = Run.objects.order_by('-id')[0]\n"
        "answer = sorted(run.snapshot.entries.exclude(image__part__serial__startswith='auto')"
        ".values_list('image__part__serial', flat=True))"
    )
    good = sorted(name for name, key in answers.items() if key == "j")
    assert [name for name in learned if name.startswith("PART-")] == good
    look.click()
    engineer.get_by_role("button", name="Promote v2").click()
    dialog = engineer.locator("dialog[open]")
    dialog.locator("input[name=reason], textarea[name=reason]").fill("learned two more normals")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(engineer.locator("h1")).to_contain_text("v2 serves")

    # The next image is scored by the new version, and its score says so.
    _upload(engineer, scene, tmp_path / "second", range(201, 202), good_every=1_000)
    versions = stack.ask(
        "rows = Score.objects.filter(image__part__serial='PART-201')\n"
        "answer = list(rows.values_list('model_version__number', flat=True))"
    )
    assert versions == [2]
    earlier = stack.ask(
        "rows = Score.objects.filter(image__part__serial__in=['PART-100', 'PART-101'])\n"
        "answer = sorted(set(rows.values_list('model_version__number', flat=True)))"
    )
    assert earlier == [1]
