"""Random edits in two browsers on one board, while responses are slow, fail or get lost."""

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, TimeoutError, expect

from tests.e2e.conftest import ARGUMENTS, CHROMIUM
from tests.e2e.test_edit import Boards, drag

pytestmark = pytest.mark.e2e
ROOT = "/api/v1/dashboards"
# Half a minute in CI; ten before a release: PULSEBOARD_MONKEY_SECONDS=600.
SECONDS = int(os.environ.get("PULSEBOARD_MONKEY_SECONDS", "30"))
# Until what is cached once is cached, and the undo history of a hundred steps has begun to fill.
WARM_UP = 25 if SECONDS < 600 else 60
# Compiled code grows with what is used, and is no leak: without it the heap is the page's data.
INTERPRETED = "--js-flags=--no-opt --no-maglev --no-sparkplug"
# Milliseconds until the page has dropped what no panel shows any more.
RESTED = 35_000
MOST_PANELS = 9
MOST_GROWTH = 1.1
PANELS = tuple((f"P{n}", (6 * (n % 2), 4 * (n // 2), 6, 4)) for n in range(5))

# Requests of the page are slow, fail before they are sent, or lose their response.
CHAOS = """
window.__chaos = false
const real = window.fetch.bind(window)
const later = (ms) => new Promise((done) => setTimeout(done, ms))
window.fetch = async (input, init) => {
  const url = typeof input === 'string' ? input : input.url
  if (!window.__chaos || !/query\\/batch|dashboards\\//.test(url)) return real(input, init)
  const dice = Math.random()
  if (dice < 0.06) throw new TypeError('Failed to fetch')
  if (dice < 0.12) {
    const body = { error: 'The database is away.', code: 'UNAVAILABLE' }
    return new Response(JSON.stringify(body), {
      status: 503, headers: { 'Content-Type': 'application/json' },
    })
  }
  if (dice < 0.3) await later(500 + Math.random() * 2000)
  const response = await real(input, init)
  if (dice > 0.96) throw new TypeError('Failed to fetch')
  return response
}
"""


class Monkey:
    """One browser that does things at random, and what it has done."""

    def __init__(self, context: BrowserContext, board: str, dice: random.Random) -> None:
        self.page = context.new_page()
        self.board = board
        self.dice = dice
        self.problems: list[str] = []
        # What was done since the last save: only these may explain that a panel is gone.
        self.since_save: list[str] = []
        self.saves: list[tuple[int, set[str], list[str]]] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("response", self._note)
        self.page.add_init_script(CHAOS)
        self.page.goto(f"/dashboards/{board}?edit=1&refresh=5s")
        expect(self.page.locator(".react-grid-item")).not_to_have_count(0)

    def suffer(self, chaos: bool) -> None:
        """Whether requests fail. A dashboard that can't be loaded at all has nothing to edit."""
        self.page.evaluate("on => { window.__chaos = on }", chaos)

    def _note(self, response: Response) -> None:
        if response.request.method != "PUT" or not response.ok:
            return
        if not response.url.endswith(self.board):
            return
        sent = json.loads(response.request.post_data or "{}")
        listed = sent.get("panels") or sent.get("layout") or []
        ids = {entry.get("id") or entry.get("i") for entry in listed}
        self.saves.append((sent["version"] + 1, ids, [*self.since_save]))

    def act(self) -> None:
        acts = (self.move, self.move, self.duplicate, self.remove, self.undo, self.redo, self.range)
        try:
            self.settle_conflict()
            self.dice.choice(acts)()
        except TimeoutError:
            # What it wanted to click went away meanwhile, as it does for people.
            self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(self.dice.choice((20, 100, 400, 800)))

    def settle_conflict(self) -> None:
        bar = self.page.get_by_role("alert").filter(has_text="Someone else has changed")
        if bar.count() and bar.get_by_role("button", name="Reload").is_enabled():
            button = self.dice.choice(("Overwrite", "Overwrite", "Reload"))
            self.since_save.append(button)
            bar.get_by_role("button", name=button).click(timeout=5000)
            self.page.wait_for_timeout(300)

    def open_editor(self) -> None:
        """Loads what the mouse loads sooner or later, by passing over the link to it."""
        self.page.get_by_role("link", name="Add panel").click()
        self.page.get_by_role("button", name="Discard").click()
        expect(self.page.locator(".react-grid-item")).not_to_have_count(0)

    def _menu(self, action: str) -> None:
        menus = self.page.locator(".react-grid-item").get_by_role("button", name="Menu of")
        if not menus.count():
            return
        menus.nth(self.dice.randrange(menus.count())).click(force=True, timeout=5000)
        self.page.get_by_role("menuitem", name=action, exact=True).click(timeout=5000)

    def move(self) -> None:
        heads = self.page.locator(".react-grid-item .panel-header")
        if heads.count():
            head = heads.nth(self.dice.randrange(heads.count()))
            head.scroll_into_view_if_needed(timeout=5000)
            drag(self.page, head, self.dice.randint(-600, 600), self.dice.randint(-200, 200))

    def duplicate(self) -> None:
        if self.page.locator(".react-grid-item").count() < MOST_PANELS:
            self._menu("Duplicate")

    def remove(self) -> None:
        if self.page.locator(".react-grid-item").count() > 2:
            self.since_save.append("remove")
            self._menu("Remove")

    def undo(self) -> None:
        self.since_save.append("undo")
        self.page.keyboard.press("Control+z")

    def redo(self) -> None:
        self.since_save.append("redo")
        self.page.keyboard.press("Control+Shift+z")

    def range(self) -> None:
        self.page.get_by_role("button", name="Shift range back").click(timeout=5000)
        if self.dice.random() < 0.7:
            self.page.go_back()

    def places(self) -> dict[str, tuple[int, ...]]:
        """Where each panel is on the screen, in cells of the grid."""
        found: dict[str, list[float]] = self.page.evaluate("""() => {
          const grid = document.querySelector('.react-grid-layout').getBoundingClientRect()
          const column = (grid.width + 12) / 12
          return Object.fromEntries([...document.querySelectorAll('.react-grid-item')]
            .filter((item) => item.dataset.panel).map((item) => {
              const box = item.getBoundingClientRect()
              return [item.dataset.panel, [(box.x - grid.x) / column, (box.y - grid.y) / 48,
                (box.width + 12) / column, (box.height + 12) / 48]]
            }))
        }""")
        return {id: tuple(round(side) for side in sides) for id, sides in found.items()}

    def calm(self) -> None:
        """No more chaos; everything is saved, and what the other has saved is here."""
        self.suffer(False)
        # A save that failed is tried again after up to half a minute.
        for _ in range(240):
            self.settle_conflict()
            state = self.page.get_by_role("status", name="Save state").text_content()
            if state == "All changes saved":
                return
            self.page.wait_for_timeout(500)
        raise AssertionError("the changes were not saved")

    def used(self) -> int:
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used = int(session.send("Runtime.getHeapUsage")["usedSize"])
        session.detach()
        return used


def _heaps(monkeys: list[Monkey]) -> list[int]:
    """Bytes that each browser holds away from the board, however many panels it has by now."""
    for monkey in monkeys:
        monkey.suffer(False)
        monkey.page.get_by_role("link", name="Pulseboard home").click()
        expect(monkey.page.get_by_role("heading", name="Dashboards")).to_be_visible()
    monkeys[0].page.wait_for_timeout(RESTED)
    used = [monkey.used() for monkey in monkeys]
    for monkey in monkeys:
        monkey.page.go_back()
        expect(monkey.page.locator(".react-grid-item")).not_to_have_count(0)
    return used


@pytest.fixture
def contexts(
    stack: dict[str, str], browser: Browser, signed_in: Any
) -> Iterator[tuple[BrowserContext, BrowserContext]]:
    own = browser.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, INTERPRETED])
    made = [
        own.new_context(
            storage_state=signed_in,
            base_url=stack["url"],
            viewport={"width": 1440, "height": 900},
            reduced_motion="reduce",
        )
        for _ in range(2)
    ]
    yield made[0], made[1]
    own.close()


def _run(monkeys: list[Monkey], seconds: float) -> None:
    until = time.monotonic() + seconds
    for monkey in monkeys:
        monkey.suffer(True)
    while time.monotonic() < until:
        for monkey in monkeys:
            monkey.act()


def _explained(saves: list[tuple[int, set[str], list[str], str]]) -> None:
    """Each confirmed panel that is gone was removed by who saved without it."""
    before: set[str] = set()
    for version, ids, acts, who in sorted(saves, key=lambda save: save[0]):
        gone = before - ids
        assert not gone or acts, f"{who} lost {gone} by version {version}"
        before = ids


@pytest.mark.timeout(SECONDS + 600)
def test_two_browsers_and_the_server_agree_after_anything(
    contexts: tuple[BrowserContext, BrowserContext], stack: dict[str, str]
) -> None:
    seed = int(os.environ.get("PULSEBOARD_MONKEY_SEED", str(random.randrange(10**6))))
    print(f"seed {seed}")
    maker = contexts[0].new_page()
    boards = Boards(maker, stack["url"])
    board = boards.make("Monkeys", *PANELS)
    monkeys = [
        Monkey(context, board, random.Random(seed + index))
        for index, context in enumerate(contexts)
    ]
    for monkey in monkeys:
        monkey.open_editor()
    _run(monkeys, WARM_UP)
    start = _heaps(monkeys)
    _run(monkeys, SECONDS)

    for monkey in (*monkeys, *monkeys):
        monkey.calm()
    assert [monkey.problems for monkey in monkeys] == [[], []]
    for monkey in monkeys:
        expect(monkey.page.get_by_text("can't be shown")).to_have_count(0)
    server = {
        panel["id"]: tuple(panel["position"][side] for side in "xywh")
        for panel in boards.read(board)["panels"]
    }
    for monkey in monkeys:
        # The other's last save comes by the next look at the dashboard.
        for _ in range(80):
            if monkey.places() == server:
                break
            monkey.page.wait_for_timeout(500)
        assert monkey.places() == server
    confirmed = [
        (*save, f"browser {index}") for index, monkey in enumerate(monkeys) for save in monkey.saves
    ]
    assert len(confirmed) > 3
    _explained(confirmed)
    end = _heaps(monkeys)
    for index, (before, after) in enumerate(zip(start, end, strict=True)):
        print(f"browser {index}: {before / 1e6:.2f} MB, then {after / 1e6:.2f} MB")
    assert all(after <= MOST_GROWTH * before for before, after in zip(start, end, strict=True))
