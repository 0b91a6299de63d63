"""What is on screen is true or marked, and what was typed is kept: slowly, late, offline."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
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


def test_edits_larger_than_a_closing_page_can_send_survive_it(
    page: Page, context: BrowserContext, boards: Boards
) -> None:
    board = boards.make("Large", *THREE)
    found = boards.read(board)
    for panel in found["panels"]:
        for key in ("dashboardId", "createdAt", "updatedAt"):
            panel.pop(key)
        panel["options"]["content"] = "x" * 20_000
        panel["queries"] = [{"query": "load_1 # " + "x" * 4_900}]
    body = {"version": found["version"], "panels": found["panels"]}
    saved = page.request.put(f"{ROOT}/{board}", data=body, headers=boards.headers)
    assert saved.ok, saved.text()
    assert len(json.dumps(body)) > 65_536
    edit(page, board)
    sent: list[int] = []
    context.on(
        "request",
        lambda request: (
            sent.append(len(request.post_data or "")) if request.method == "PUT" else None
        ),
    )
    # A removal sends what remains, a duplicate sends all.
    menu(page, "A", "Duplicate")
    expect(page.get_by_role("region", name="A (copy)")).to_be_visible()
    page.close(run_before_unload=False)
    again = context.new_page()
    boards.page = again
    edit(again, board)
    all_saved(again)
    assert "A (copy)" in boards.positions(board)
    assert max(sent) > 65_536


def test_an_edit_of_who_is_signed_out_waits_for_a_sign_in(page: Page, boards: Boards) -> None:
    board = boards.make("Waits for me", *THREE)
    edit(page, board)
    refusal = {"error": "Nobody is signed in.", "code": "UNAUTHORIZED"}
    page.route(
        f"**{ROOT}/{board}",
        lambda route: (
            route.fulfill(status=401, json=refusal)
            if route.request.method == "PUT"
            else route.continue_()
        ),
    )
    drag(page, header(page, "A"), 700, 20)
    state = page.get_by_role("status", name="Save state", include_hidden=True)
    expect(state).to_have_text("Not saved yet: waiting for you to sign in")
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    assert boards.read(board)["version"] == 1


def test_what_is_typed_just_before_a_link_is_there_when_one_comes_back(page: Page) -> None:
    page.goto("/explore?q=load_1&refresh=off")
    box = page.get_by_label("Query A", exact=True).first
    expect(box).to_have_value("load_1")
    box.fill("load_5")
    page.get_by_role("link", name="Pulseboard home").click()
    expect(page.get_by_role("heading", name="Dashboards")).to_be_visible()
    page.go_back()
    expect(box).to_have_value("load_5")


def _first(page: Page, held: list[Route]) -> Route:
    """The first request that is held: what says "Saving…" may be shown before it is sent."""
    while not held:
        page.wait_for_timeout(50)
    return held[0]


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
    # By the keyboard: what is said at the bottom of the page may lie over the row.
    box.press("Space")
    expect(page.get_by_text("Pulseboard is not responding").first).to_be_visible()
    expect(box).to_be_checked()
    context.set_offline(False)
    page.wait_for_function("navigator.onLine")
    held: list[Route] = []
    page.route(
        "**/api/v1/alerts/rules/*",
        lambda route: held.append(route) if route.request.method == "PUT" else route.continue_(),
    )
    row = page.get_by_role("row").filter(has=box)
    with page.expect_request(lambda request: request.method == "PUT"):
        box.press("Space")
    expect(row.get_by_text("Saving…")).to_be_visible()
    expect(row.get_by_text("Disabled")).to_have_count(0)
    _first(page, held).continue_()
    expect(row.get_by_text("Disabled")).to_be_visible()


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


def test_one_refused_request_ends_no_session(page: Page, boards: Boards) -> None:
    board = boards.make("Refused once", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit?refresh=5s")
    page.get_by_label("Title").fill("Typed before")
    refusal = {"error": "Nobody is signed in.", "code": "UNAUTHORIZED"}
    with page.expect_response("**/auth/me"):
        page.route(
            "**/api/v1/query/batch", lambda route: route.fulfill(status=401, json=refusal), times=1
        )
    preview = region(page, "Typed before")
    expect(preview.get_by_role("img", name=re.compile("Refresh failed"))).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_label("Title")).to_have_value("Typed before")
    expect(preview.get_by_role("list", name="Legend")).to_be_visible()


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


def test_what_is_no_number_is_not_saved_as_nothing(page: Page, boards: Boards) -> None:
    board = boards.make("Numbers", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    page.get_by_label("Title").fill("Kept")
    page.get_by_text("Thresholds (0)").click()
    page.get_by_role("button", name="Add threshold").click()
    error = page.get_by_text("Enter a number within ±1e308.")
    for label, typed in (("Minimum", "1e999"), ("Decimals", "-"), ("From", "1e999")):
        field = page.get_by_role("spinbutton", name=label, exact=True)
        field.fill("5")
        field.press("Control+a")
        field.press_sequentially(typed)
        expect(error).to_be_visible()
        page.get_by_role("button", name="Save panel").click()
        expect(error).to_be_visible()
        field.press("Control+a")
        field.press("Delete")
        # A threshold without a number is none; the other fields may be empty.
        expect(error).to_have_count(1 if label == "From" else 0)
        if label == "From":
            page.get_by_role("button", name="Save panel").click()
            expect(error).to_have_count(1)
        field.fill("6")
        expect(error).to_have_count(0)
    page.get_by_role("button", name="Save panel").click()
    boards.wait_for_version(board, 2)
    options = boards.read(board)["panels"][0]["options"]
    assert (options["min"], options["decimals"]) == (6, 6)
    assert options["thresholds"][0]["value"] == 6


def test_rows_of_lists_keep_what_is_typed_when_another_goes(page: Page, boards: Boards) -> None:
    board = boards.make("Rows", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    lists = (
        ("Thresholds (0)", "threshold", "From", ("1", "2", "3")),
        ("Value mappings (0)", "mapping", "Text", ("one", "two", "three")),
        ("Series overrides (0)", "override", "Display name", ("one", "two", "three")),
        ("Links (0)", "link", "URL", ("/one", "/two", "/three")),
    )
    for summary, name, label, texts in lists:
        page.get_by_text(summary, exact=True).click()
        section = page.locator("details").filter(has=page.get_by_role("button", name=f"Add {name}"))
        for _ in texts:
            section.get_by_role("button", name=f"Add {name}").click()
        fields = section.get_by_label(label, exact=True)
        for at, text in enumerate(texts):
            fields.nth(at).fill(text)
        # What is half typed and no value yet belongs to its row, too.
        if name == "threshold":
            fields.nth(1).fill("")
            fields.nth(1).press_sequentially("2e")
        else:
            fields.nth(1).focus()
        page.get_by_role("button", name=f"Remove {name} 1").click()
        expect(fields).to_have_count(2)
        if name == "threshold":
            fields.nth(0).press_sequentially("1")
            texts = ("", "2e1", "3")
        for at, text in enumerate(texts[1:]):
            expect(fields.nth(at)).to_have_value(text)
    page.get_by_role("button", name="Add query").click()
    for name, alias in (("A", "one"), ("B", "two")):
        group = page.get_by_role("group", name=f"Query {name}")
        group.get_by_role("combobox", name="Query").fill("load_1")
        group.get_by_label("Alias").fill(alias)
        group.get_by_label("Group by").fill("host,")
    page.get_by_role("button", name="Remove query A").click()
    expect(page.get_by_label("Alias")).to_have_value("two")
    expect(page.get_by_label("Group by")).to_have_value("host,")
    page.get_by_role("button", name="Save panel").click()
    boards.wait_for_version(board, 2)
    saved = boards.read(board)["panels"][0]
    options = saved["options"]
    assert [one["value"] for one in options["thresholds"]] == [20, 3]
    assert [one["text"] for one in options["mappings"]] == ["two", "three"]
    assert [one["label"] for one in options["overrides"]] == ["two", "three"]
    assert [one["url"] for one in options["links"]] == ["/two", "/three"]
    assert [one["alias"] for one in saved["queries"]] == ["two"]

    page.goto(f"/dashboards/{board}")
    page.get_by_role("button", name="Dashboard menu").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="Variables").click()
    for at, name in enumerate(("one", "two", "three")):
        page.get_by_role("button", name="Add variable").click()
        page.get_by_label("Values from").nth(at).select_option("list")
        page.get_by_label("Name", exact=True).nth(at).fill(name)
        page.get_by_label("Values", exact=True).nth(at).fill(f"{name}, x,")
    page.get_by_role("button", name="Remove one").click()
    values = page.get_by_label("Values", exact=True)
    expect(values).to_have_count(2)
    expect(values.nth(0)).to_have_value("two, x,")
    page.get_by_role("button", name="Move three up").click()
    expect(values.nth(0)).to_have_value("three, x,")
    expect(values.nth(1)).to_have_value("two, x,")
    values.nth(1).press("End")
    values.nth(1).press_sequentially(" y")
    page.get_by_role("button", name="Save settings").click()
    boards.wait_for_version(board, 3)
    variables = boards.read(board)["settings"]["variables"]
    assert [one["values"] for one in variables] == [["three", "x"], ["two", "x", "y"]]


def test_mappings_of_texts_and_of_no_value_are_kept(page: Page, boards: Boards) -> None:
    board = boards.make("Mappings", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    page.get_by_text("Value mappings (0)").click()
    for _ in range(3):
        page.get_by_role("button", name="Add mapping").click()
    kinds = (
        page.locator("details")
        .filter(has=page.get_by_role("button", name="Add mapping"))
        .get_by_label("For", exact=True)
    )
    kinds.nth(0).select_option("pattern")
    kinds.nth(1).select_option("special")
    page.get_by_label("Matching").fill("")
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("To", exact=True).fill("5")
    page.get_by_role("button", name="Save panel").click()
    # What is wrong is said, and nothing is saved.
    expect(page.get_by_text("Enter a text.", exact=True)).to_be_visible()
    expect(page.get_by_text("Not saved.")).to_be_visible()
    page.get_by_label("Matching").fill("web-*")
    page.get_by_role("button", name="Save panel").click()
    boards.wait_for_version(board, 2)
    kept = boards.read(board)["panels"][0]["options"]["mappings"]
    assert [(one["low"], one["high"], one["pattern"], one["special"]) for one in kept] == [
        (None, None, "web-*", None),
        (None, None, None, "empty"),
        (None, 5, None, None),
    ]
    # They can be saved again: the editor knows each kind.
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    page.get_by_label("Title").fill("Again")
    page.get_by_role("button", name="Save panel").click()
    boards.wait_for_version(board, 3)
    assert boards.read(board)["panels"][0]["options"]["mappings"] == kept


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/explore?q=load_1", "Query A"),
        ("/usage", "Search metrics"),
        ("/alerts", "Search rules"),
        ("/usage/load_1", "Filter series by tags"),
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
    page.route("**/api/v1/variables/resolve", lambda route: route.fulfill(status=503, json=refusal))
    page.goto(f"/dashboards/{board}")
    expect(page.get_by_text("The values of host can't be listed")).to_be_visible()
    page.unroute("**/api/v1/variables/resolve")
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


def test_done_waits_for_a_late_conflict_and_shows_it(page: Page, boards: Boards) -> None:
    board = boards.make("Late", *THREE)
    edit(page, board)
    refusal = {"error": "Someone has saved a newer version.", "code": "CONFLICT"}

    def late(route: Route) -> None:
        if route.request.method != "PUT":
            return route.continue_()
        page.wait_for_timeout(1500)
        return route.fulfill(status=409, json=refusal)

    page.route(f"**{ROOT}/{board}", late)
    drag(page, header(page, "A"), 700, 20)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("alert").filter(has_text="Someone else has changed")).to_be_visible()
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_visible()


def test_lists_that_can_not_be_refreshed_are_marked(page: Page) -> None:
    page.goto("/status")
    expect(page.get_by_text("Circuit breaker")).to_be_visible()
    refusal = {"error": "The database is away.", "code": "UNAVAILABLE"}
    page.route("**/api/v1/status", lambda route: route.fulfill(status=503, json=refusal))
    mark = page.get_by_role("status", name="Not refreshed")
    expect(mark).to_contain_text("The database is away.")
    expect(page.get_by_text("Circuit breaker")).to_be_visible()
    page.unroute("**/api/v1/status")
    expect(mark).to_have_count(0)


def test_an_invalid_step_is_named_and_the_other_query_goes_on(page: Page) -> None:
    page.goto("/explore?q=load_1&q=load_5&refresh=off")
    chart = region(page, "Chart")
    expect(chart.get_by_role("list", name="Legend").get_by_role("button")).to_have_count(2)
    page.get_by_role("group", name="Query B").get_by_label("Step").fill("5 apples")
    expect(page.get_by_text("For example 30s, 5m or 1h.")).to_be_visible()
    expect(chart.get_by_role("list", name="Legend").get_by_role("button")).to_have_count(1)


def test_a_rule_that_is_typed_is_lost_neither_by_a_link_nor_by_somebody_else(
    page: Page, context: BrowserContext, boards: Boards
) -> None:
    body = {"name": "Typed", "query": "load_1", "condition": "gt", "threshold": 1e9}
    root = "/api/v1/alerts/rules"
    made = page.request.post(root, data=body, headers=boards.headers).json()["data"]
    page.goto(f"/alerts/{made['id']}/edit")
    page.get_by_label("Name").fill("Typed before")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="Pulseboard home").click()
    expect(page.get_by_label("Name")).to_have_value("Typed before")
    assert asked == ["Leave without saving this rule?"]
    theirs = body | {"threshold": 5, "version": made["version"]}
    assert page.request.put(f"{root}/{made['id']}", data=theirs, headers=boards.headers).ok
    # Data are older than they may be, so that a network that is back brings the newest.
    page.wait_for_timeout(11_000)
    context.set_offline(True)
    expect(page.get_by_role("status", name="Connection")).to_be_visible()
    with page.expect_response(f"**{root}/{made['id']}"):
        context.set_offline(False)
    expect(page.get_by_role("status", name="Connection")).to_have_count(0)
    expect(page.get_by_label("Name")).to_have_value("Typed before")
    page.get_by_role("button", name="Save rule").click()
    page.get_by_role("button", name="Back to rule").click()
    expect(page.get_by_label("Name")).to_have_value("Typed before")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_role("heading", name="Typed before")).to_be_visible()


def _open_settings(page: Page, board: str) -> None:
    page.goto(f"/dashboards/{board}")
    page.get_by_role("button", name="Dashboard menu").click()
    page.get_by_role("menuitem", name="Settings").click()


def _click(path: str, name: str) -> Callable[[Page, str], None]:
    def opened(page: Page, _board: str) -> None:
        page.goto(path)
        page.get_by_role("button", name=name, exact=True).click()

    return opened


FORMS: dict[str, tuple[Callable[[Page, str], None], str]] = {
    "Dashboard settings": (_open_settings, "Description"),
    "New dashboard": (_click("/", "New dashboard"), "Name"),
    "Import a dashboard": (_click("/", "Import"), "Or paste JSON"),
    "New channel": (_click("/alerts?tab=channels", "New channel"), "Name"),
    "New silence": (_click("/alerts?tab=silences", "New silence"), "Comment"),
    "New user": (_click("/users", "New user"), "Email"),
    "New API key": (_click("/api-keys", "New key"), "Name"),
}


@pytest.mark.parametrize("title", FORMS)
def test_what_is_typed_in_a_dialog_stays_until_it_is_thrown_away(
    page: Page, boards: Boards, title: str
) -> None:
    opened, label = FORMS[title]
    opened(page, boards.make("Typed", ("P", (0, 0, 6, 6))) if opened is _open_settings else "")
    form = page.get_by_role("dialog", name=title)
    field = form.get_by_label(label, exact=True)
    field.fill("typed")
    question = page.get_by_role("alertdialog")
    # A browser lets nobody refuse a second request to close.
    for _ in range(4):
        page.keyboard.press("Escape")
    page.mouse.click(5, 5)
    expect(field).to_have_value("typed")
    if not question.count():
        field.press("Escape")
    question.get_by_role("button", name="Keep editing").click()
    expect(question).to_have_count(0)
    expect(field).to_have_value("typed")
    page.on("dialog", lambda asked: asked.dismiss())
    page.evaluate("history.back()")
    page.wait_for_timeout(300)
    expect(field).to_have_value("typed")
    form.get_by_role("button", name="Close").click()
    question.get_by_role("button", name="Discard").click()
    expect(form).to_have_count(0)


def test_a_dialog_in_which_nothing_was_typed_closes_by_escape(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="New dashboard", exact=True).click()
    form = page.get_by_role("dialog", name="New dashboard")
    expect(form).to_be_visible()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)


def _rule(boards: Boards, name: str) -> str:
    body = {"name": name, "query": "load_1", "condition": "gt", "threshold": 1e9}
    made = boards.page.request.post("/api/v1/alerts/rules", data=body, headers=boards.headers)
    assert made.ok, made.text()
    return str(made.json()["data"]["id"])


def test_of_quick_switches_of_a_rule_the_last_one_counts(page: Page, boards: Boards) -> None:
    name = f"Switched {time.time_ns()}"
    rule = _rule(boards, name)
    held: list[Route] = []
    statuses: list[int] = []
    page.on(
        "response",
        lambda response: (
            statuses.append(response.status) if response.request.method == "PUT" else None
        ),
    )
    page.route(
        f"**/api/v1/alerts/rules/{rule}",
        lambda route: held.append(route) if route.request.method == "PUT" else route.continue_(),
    )
    page.goto("/alerts")
    box = page.get_by_role("checkbox", name=f"Enable {name}")
    row = page.get_by_role("row").filter(has=box)
    for _ in range(3):
        box.click()
    expect(box).not_to_be_checked()
    for sent in range(3):
        for _ in range(300):
            if len(held) > sent:
                break
            page.wait_for_timeout(100)
        # One at a time: the next one waits for this one's response.
        assert len(held) == sent + 1
        expect(row.get_by_text("Saving…")).to_be_visible()
        held[sent].continue_()
    expect(row.get_by_text("Disabled")).to_be_visible()
    expect(box).not_to_be_checked()
    assert statuses == [200, 200, 200]
    found = page.request.get(f"/api/v1/alerts/rules/{rule}").json()["data"]
    assert found["enabled"] is False


def test_a_rule_that_is_being_saved_is_marked_on_its_page(page: Page, boards: Boards) -> None:
    rule = _rule(boards, "Pending")
    held: list[Route] = []
    page.route(
        f"**/api/v1/alerts/rules/{rule}",
        lambda route: held.append(route) if route.request.method == "PUT" else route.continue_(),
    )
    page.goto(f"/alerts/{rule}/edit")
    page.get_by_label("Name").fill("Renamed")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(page.get_by_text("Saving…")).to_be_visible()
    # What may still be refused is not edited as if it were saved.
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_role("heading", name="Edit rule")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_count(0)
    _first(page, held).continue_()
    expect(page.get_by_label("Name")).to_have_value("Renamed")
    page.get_by_role("button", name="Cancel").click()
    page.goto(f"/alerts/{rule}")
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(page.get_by_text("Saving…")).to_have_count(0)


WEEK = 7 * 86_400


def test_a_wall_display_lives_on_as_long_as_it_is_on(
    browser: Browser, boards: Boards, stack: dict[str, str]
) -> None:
    board = boards.make("Wall", *THREE)
    # Signing in ends the session of the cookie that is sent along: other tests need theirs.
    context = browser.new_context(base_url=stack["url"])
    page = context.new_page()
    store = redis.RedisCluster.from_url(stack["redis_url"])

    def of_session() -> float:
        (cookie,) = [one for one in context.cookies() if one["name"] == "pulseboard_session"]
        return cookie["expires"]

    def keys() -> set[bytes]:
        return set(store.scan_iter("session:*"))

    before = keys()
    login = {"email": stack["email"], "password": stack["password"]}
    assert page.request.post("/api/v1/auth/login", data=login, headers=boards.headers).ok
    (key,) = keys() - before
    page.clock.install()
    page.goto(f"/dashboards/{board}?kiosk=1&refresh=off")
    expect(region(page, "A").get_by_role("list", name="Legend")).to_be_visible()
    for _ in range(3):
        # The clocks of both sides go on by an hour: nothing but the display's own beat is sent.
        store.expire(key, WEEK // 168)
        expires = of_session()
        time.sleep(1)
        with page.expect_response("**/api/v1/auth/me") as renewed:
            page.clock.fast_forward("01:00:00")
        assert renewed.value.ok
        assert store.ttl(key) > WEEK - 600
        assert of_session() > expires
    expect(region(page, "A").get_by_role("list", name="Legend")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    context.close()
    store.close()
