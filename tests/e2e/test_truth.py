"""What is on screen is true or marked, and what was typed is kept: slowly, late, offline."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e.test_edit import THREE, Boards, all_saved, drag, edit, header, menu

pytestmark = pytest.mark.e2e
ROOT = "/api/v1/dashboards"


@pytest.fixture
def context(stack: dict[str, str], browser: Browser, signed_in: Any) -> Iterator[BrowserContext]:
    made = browser.new_context(
        storage_state=signed_in,
        base_url=stack["url"],
        viewport={"width": 1440, "height": 900},
        color_scheme="light",
    )
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A browser whose console may show errors of the network."""
    return context.new_page()


@pytest.fixture
def boards(page: Page, stack: dict[str, str]) -> Boards:
    return Boards(page, stack["url"])


def region(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def with_settings(boards: Boards, board: str, **settings: Any) -> None:
    found = boards.read(board)
    response = boards.page.request.put(
        f"{ROOT}/{board}",
        data={"version": found["version"], "settings": found["settings"] | settings},
        headers=boards.headers,
    )
    assert response.ok, response.text()


def test_data_that_stay_away_are_marked(
    page: Page, context: BrowserContext, boards: Boards
) -> None:
    board = boards.make("Offline", *THREE)
    page.goto(f"/dashboards/{board}?refresh=5s")
    expect(region(page, "A").get_by_role("list", name="Legend")).to_be_visible()
    old = region(page, "A").get_by_role("status", name=re.compile("Last data"))
    expect(old).to_have_count(0)
    context.set_offline(True)
    expect(page.get_by_role("status", name="Connection")).to_be_visible()
    expect(old).to_be_visible()
    expect(region(page, "A").get_by_role("list", name="Legend")).to_be_visible()
    context.set_offline(False)
    expect(page.get_by_role("status", name="Connection")).to_have_count(0)
    expect(old).to_have_count(0)


def test_requests_without_a_response_are_marked(page: Page, boards: Boards) -> None:
    board = boards.make("Silent", *THREE)
    page.goto(f"/dashboards/{board}?refresh=5s")
    expect(region(page, "A").get_by_role("list", name="Legend")).to_be_visible()
    page.route("**/api/v1/query/batch", lambda _route: None)
    expect(region(page, "A").get_by_role("status", name=re.compile("Last data"))).to_be_visible()
    page.reload()
    expect(region(page, "A").get_by_text("Still waiting for a response…")).to_be_visible()


def test_another_range_keeps_the_charts_until_its_data_come(page: Page, boards: Boards) -> None:
    board = boards.make("Ranges", *THREE)
    page.goto(f"/dashboards/{board}?refresh=off")
    expect(region(page, "C").get_by_role("list", name="Legend")).to_be_visible()
    held: list[Route] = []
    late = [True]
    page.route(
        "**/api/v1/query/batch",
        lambda route: held.append(route) if late else route.continue_(),
    )
    page.get_by_role("button", name=re.compile("Time range")).click()
    page.get_by_role("button", name="Last 15 minutes").click()
    expect(region(page, "C").get_by_role("img", name="Loading")).to_be_visible()
    expect(region(page, "C").get_by_role("list", name="Legend")).to_be_visible()
    late.clear()
    for route in held:
        route.continue_()
    expect(region(page, "C").get_by_role("img", name="Loading")).to_have_count(0)


def test_edits_without_a_network_wait_and_survive_the_tab(
    page: Page, context: BrowserContext, boards: Boards
) -> None:
    board = boards.make("Waits", *THREE)
    edit(page, board)
    context.set_offline(True)
    drag(page, header(page, "A"), 700, 20)
    state = page.get_by_role("status", name="Save state")
    expect(state).to_have_text("Not saved yet: waiting for the connection")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_visible()
    page.close(run_before_unload=False)
    context.set_offline(False)
    again = context.new_page()
    again.goto(f"/dashboards/{board}?edit=1")
    all_saved(again)
    boards.page = again
    boards.wait_for_version(board, 2)
    assert boards.positions(board)["A"][0] > 3


def test_a_rule_is_not_shown_as_disabled_while_it_is_not(
    page: Page, context: BrowserContext, boards: Boards
) -> None:
    body = {"name": "Stays on", "query": "load_1", "condition": "gt", "threshold": 1e9}
    made = page.request.post("/api/v1/alerts/rules", data=body, headers=boards.headers)
    assert made.ok, made.text()
    page.goto("/alerts")
    box = page.get_by_role("checkbox", name="Enable Stays on")
    expect(box).to_be_checked()
    context.set_offline(True)
    box.click()
    expect(page.get_by_text("Pulseboard is not responding").first).to_be_visible()
    expect(box).to_be_checked()
    context.set_offline(False)


def test_who_is_signed_out_goes_on_where_they_were(
    page: Page, context: BrowserContext, boards: Boards, stack: dict[str, str]
) -> None:
    board = boards.make("Signed out", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit?refresh=5s")
    page.get_by_label("Title").fill("Typed before")
    refusal = {"error": "Nobody is signed in.", "code": "UNAUTHORIZED"}
    page.route("**/api/v1/**", lambda route: route.fulfill(status=401, json=refusal))
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Typed before")
    page.unroute("**/api/v1/**")
    me = page.request.get("/api/v1/auth/me").json()
    page.route("**/api/v1/auth/login", lambda route: route.fulfill(json=me))
    dialog.get_by_label("Password").fill("a long enough one")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_label("Title")).to_have_value("Typed before")
    page.get_by_role("button", name="Save panel").click()
    expect(region(page, "Typed before")).to_be_visible()


def test_impossible_decimals_lose_no_edit(page: Page, boards: Boards) -> None:
    board = boards.make("Decimals", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    page.get_by_label("Title").fill("Kept")
    decimals = page.get_by_label("Decimals")
    decimals.press("ArrowDown")
    decimals.fill("-1")
    expect(page.get_by_text("0 to 10")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Kept")
    expect(region(page, "Kept").get_by_role("list", name="Legend")).to_be_visible()
    decimals.fill("2")
    page.get_by_role("button", name="Save panel").click()
    expect(region(page, "Kept")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/explore?q=load_1", "Query A"),
        ("/usage", "Search metrics"),
        ("/alerts", "Search rules"),
    ],
)
def test_the_caret_stays_where_one_types(page: Page, path: str, field: str) -> None:
    page.goto(path)
    box = page.get_by_label(field, exact=True).first
    box.fill("load_1")
    page.wait_for_timeout(600)
    for _ in range(3):
        box.press("ArrowLeft")
    box.press_sequentially("abc", delay=120)
    assert box.input_value() == "loaabcd_1"
    page.wait_for_timeout(600)
    assert box.input_value() == "loaabcd_1"
    assert box.evaluate("node => node.selectionStart") == 6


def test_values_of_a_variable_that_fail_are_shown_and_tried_again(
    page: Page, boards: Boards
) -> None:
    board = boards.make("Variables", ("P", (0, 0, 6, 6)))
    with_settings(
        boards,
        board,
        variables=[{"name": "host", "type": "tag", "metric": "load_1", "tag": "host"}],
    )
    found = boards.read(board)
    panel = found["panels"][0] | {"queries": [{"query": 'load_1{host="$host"}'}]}
    body = {"version": found["version"], "panels": [panel]}
    for key in ("dashboardId", "createdAt", "updatedAt"):
        panel.pop(key)
    assert page.request.put(f"{ROOT}/{board}", data=body, headers=boards.headers).ok
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    refusal = {"error": "The database is away.", "code": "UNAVAILABLE"}
    page.route(
        "**/api/v1/metrics/load_1/tags**", lambda route: route.fulfill(status=503, json=refusal)
    )
    page.goto(f"/dashboards/{board}")
    expect(page.get_by_text("The values of host can't be listed")).to_be_visible()
    page.unroute("**/api/v1/metrics/load_1/tags**")
    expect(region(page, "P").get_by_role("list", name="Legend")).to_be_visible()
    assert not [text for text in asked if 'host=\\"\\"' in text]


def test_the_focus_returns_to_what_opened_a_dialog(page: Page, boards: Boards) -> None:
    board = boards.make("Focus", *THREE)
    page.goto(f"/dashboards/{board}")
    button = page.get_by_role("button", name="Dashboard menu")
    button.click()
    page.get_by_role("menuitem", name="Settings").click()
    dialog = page.get_by_role("dialog", name="Dashboard settings")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


def test_a_removed_panel_comes_back_where_it_was(page: Page, boards: Boards) -> None:
    board = boards.make("Back", *THREE)
    edit(page, board)
    menu(page, "A", "Remove")
    all_saved(page)
    boards.wait_for_version(board, 2)
    page.get_by_role("listitem").filter(has_text="A removed").get_by_role(
        "button", name="Undo"
    ).click()
    boards.wait_for_version(board, 3)
    assert boards.positions(board) == dict(THREE)


def test_a_kiosk_has_a_way_back(page: Page) -> None:
    page.goto("/dashboards/00000000-0000-0000-0000-000000000000?kiosk=1")
    page.get_by_role("link", name="Go to dashboards").click()
    expect(page.get_by_role("heading", name="Dashboards")).to_be_visible()


def test_slow_saves_of_one_person_are_no_conflict(page: Page, boards: Boards) -> None:
    board = boards.make("Slow", *THREE)
    edit(page, board)
    statuses: list[int] = []
    page.on(
        "response",
        lambda response: (
            statuses.append(response.status) if response.request.method == "PUT" else None
        ),
    )

    def late(route: Route) -> None:
        if route.request.method == "PUT":
            page.wait_for_timeout(1500)
        route.continue_()

    page.route(f"**{ROOT}/{board}", late)
    drag(page, header(page, "A"), 700, 20)
    page.wait_for_timeout(800)
    for title in ("B", "C", "A"):
        drag(page, header(page, title), -300, 250)
        page.wait_for_timeout(700)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
    assert set(statuses) == {200}
    expect(page.get_by_text("Someone else has changed")).to_have_count(0)
