"""Creating and editing dashboards in Chromium: by mouse, by keyboard, in two browsers at once."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

pytestmark = pytest.mark.e2e
ROOT = "/api/v1/dashboards"
Position = tuple[int, int, int, int]
Board = dict[str, Any]


class Boards:
    """Creates and reads dashboards over the API."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.headers = {"Origin": origin}

    def make(self, name: str, *panels: tuple[str, Position]) -> str:
        body = {
            "name": name,
            "panels": [
                {
                    "title": title,
                    "type": "line",
                    "query": "load_1",
                    "position": dict(zip("xywh", position, strict=True)),
                }
                for title, position in panels
            ],
        }
        response = self.page.request.post(ROOT, data=body, headers=self.headers)
        assert response.ok, response.text()
        return str(response.json()["data"]["id"])

    def read(self, board: str) -> Board:
        response = self.page.request.get(f"{ROOT}/{board}")
        assert response.ok, response.text()
        found: Board = response.json()["data"]
        return found

    def wait_for_version(self, board: str, version: int) -> None:
        for _ in range(300):
            if self.read(board)["version"] == version:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"version {version} did not come")

    def positions(self, board: str) -> dict[str, Position]:
        return {
            panel["title"]: tuple(panel["position"][side] for side in "xywh")
            for panel in self.read(board)["panels"]
        }


@pytest.fixture
def boards(page: Page, stack: dict[str, str]) -> Boards:
    return Boards(page, stack["url"])


@pytest.fixture
def others(stack: dict[str, str], browser: Browser, signed_in: Any) -> Iterator[tuple[Page, Page]]:
    """Two browsers. Their consoles may show errors of the server."""
    contexts = [
        browser.new_context(
            storage_state=signed_in,
            base_url=stack["url"],
            viewport={"width": 1440, "height": 900},
        )
        for _ in range(2)
    ]
    yield contexts[0].new_page(), contexts[1].new_page()
    for context in contexts:
        context.close()


@pytest.fixture
def other(others: tuple[Page, Page]) -> Page:
    """A browser whose console may show errors of the server."""
    return others[0]


THREE = (("A", (0, 0, 6, 6)), ("B", (6, 0, 6, 6)), ("C", (0, 6, 6, 6)))


def edit(page: Page, board: str) -> None:
    page.goto(f"/dashboards/{board}?edit=1")
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_visible()
    expect(page.locator(".react-grid-item")).not_to_have_count(0)


def all_saved(page: Page) -> None:
    expect(page.get_by_role("status", name="Save state")).to_have_text("All changes saved")


def drag(page: Page, handle: Locator, x: int, y: int) -> None:
    """Drags the middle of a handle by so many pixels, once it stands still."""
    handle.hover()
    box = handle.bounding_box()
    assert box is not None
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + x / 2, start[1] + y / 2, steps=4)
    page.mouse.move(start[0] + x, start[1] + y, steps=4)
    page.mouse.up()


def header(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True).get_by_role("heading", name=title)


def menu(page: Page, title: str, action: str) -> None:
    page.get_by_role("button", name=f"Menu of {title}", exact=True).click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def test_a_panel_is_dragged_saved_undone_and_redone(page: Page, boards: Boards) -> None:
    board = boards.make("Dragged", *THREE)
    edit(page, board)
    drag(page, header(page, "A"), 700, 20)
    all_saved(page)
    moved = boards.positions(board)
    assert moved["A"][0] > 3
    assert moved["A"][2:] == (6, 6)

    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("status", name="Save state")).not_to_have_text("All changes saved")
    all_saved(page)
    assert boards.positions(board) == dict(THREE)
    page.keyboard.press("Control+Shift+z")
    expect(page.get_by_role("status", name="Save state")).not_to_have_text("All changes saved")
    all_saved(page)
    assert boards.positions(board) == moved
    assert boards.read(board)["version"] == 4, "each rest of the hand is one save"


def test_a_panel_is_resized(page: Page, boards: Boards) -> None:
    board = boards.make("Resized", *THREE)
    edit(page, board)
    corner = page.locator(".react-grid-item", has_text="C").locator(".react-resizable-handle-se")
    drag(page, corner, 460, 100)
    all_saved(page)
    x, y, w, h = boards.positions(board)["C"]
    assert (x, y) == (0, 6)
    assert w == 10
    assert h == 8


def test_a_panel_is_moved_and_resized_by_keyboard_and_announced(page: Page, boards: Boards) -> None:
    board = boards.make("Keyboard", *THREE)
    edit(page, board)
    announcement = page.get_by_role("status", name="Announcements")
    button = page.get_by_role("button", name="Menu of C", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Move", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Move C")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(announcement).to_have_text("C: column 2, row 7, 6 wide, 6 high.")
    page.keyboard.press("ArrowUp")
    expect(announcement).to_have_text(re.compile(r"C: column 2, row 1,"))
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    all_saved(page)
    assert boards.positions(board) == dict(THREE), "Escape undoes all steps"

    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Resize", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Resize C")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(button).to_be_focused()
    expect(page.get_by_role("status", name="Save state")).not_to_have_text("All changes saved")
    all_saved(page)
    assert boards.positions(board)["C"] == (0, 6, 7, 7)


def test_panels_are_duplicated_copied_and_removed_with_undo(page: Page, boards: Boards) -> None:
    board = boards.make("Source", ("Only", (0, 0, 6, 6)))
    target = boards.make("Target of copies")
    edit(page, board)
    menu(page, "Only", "Duplicate")
    expect(page.get_by_role("region", name="Only (copy)")).to_be_visible()
    all_saved(page)
    assert boards.positions(board)["Only (copy)"] == (6, 0, 6, 6)

    menu(page, "Only (copy)", "Remove")
    expect(page.get_by_role("region", name="Only (copy)")).to_have_count(0)
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_role("region", name="Only (copy)")).to_be_visible()
    menu(page, "Only", "Remove")
    all_saved(page)
    expect(page.get_by_role("region", name="Only", exact=True)).to_have_count(0)

    menu(page, "Only (copy)", "Copy to dashboard…")
    page.get_by_label("Find a dashboard").fill("target of")
    page.get_by_role("button", name="Target of copies").click()
    expect(page.get_by_text("copied to Target of copies")).to_be_visible()
    assert list(boards.positions(target)) == ["Only (copy)"]
    assert list(boards.positions(board)) == ["Only (copy)"]


def test_a_change_is_saved_when_the_page_is_left_at_once(page: Page, boards: Boards) -> None:
    board = boards.make("Left", *THREE)
    edit(page, board)
    drag(page, header(page, "A"), 700, 20)
    page.get_by_role("link", name="Pulseboard home").click()
    expect(page.get_by_role("heading", name="Dashboards")).to_be_visible()
    boards.wait_for_version(board, 2)

    edit(page, board)
    drag(page, header(page, "C"), 350, 20)
    page.goto("about:blank")
    page.goto("/")
    boards.wait_for_version(board, 3)


def test_a_save_without_a_response_is_kept_marked_and_tried_again(
    other: Page, stack: dict[str, str]
) -> None:
    boards = Boards(other, stack["url"])
    board = boards.make("Failed", *THREE)
    edit(other, board)
    failing = True

    def refuse(route: Route) -> None:
        if failing and route.request.method == "PUT":
            route.abort()
        else:
            route.continue_()

    other.route(f"**{ROOT}/{board}", refuse)
    drag(other, header(other, "A"), 700, 20)
    bar = other.get_by_role("alert").filter(has_text="Your changes are not saved")
    expect(bar).to_contain_text("Pulseboard is not responding")
    state = other.get_by_role("status", name="Save state")
    expect(state).to_have_text("Not saved yet: trying again")
    other.get_by_role("button", name="Done").click()
    expect(state).to_have_text("Not saved yet: trying again")
    assert boards.positions(board) == dict(THREE)
    panel = other.locator(".react-grid-item", has_text="A").first.element_handle()
    assert panel.evaluate("panel => panel.getBoundingClientRect().x") > 100, "it stays"
    # It is saved by itself once that works.
    failing = False
    boards.wait_for_version(board, 2)
    all_saved(other)
    expect(bar).to_have_count(0)
    assert boards.positions(board)["A"][0] > 3


def test_what_is_discarded_in_the_panel_editor_is_not_saved_later(
    other: Page, stack: dict[str, str]
) -> None:
    boards = Boards(other, stack["url"])
    board = boards.make("Discarded", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    failing = True

    def refuse(route: Route) -> None:
        if failing and route.request.method == "PUT":
            route.abort()
        else:
            route.continue_()

    other.route(f"**{ROOT}/{board}", refuse)
    other.goto(f"/dashboards/{board}/panels/{panel}/edit")
    other.get_by_label("Title").fill("Discarded")
    other.get_by_role("button", name="Save panel").click()
    expect(other.get_by_role("alert").filter(has_text="Your changes are not saved")).to_be_visible()
    expect(other.get_by_label("Title")).to_have_value("Discarded")
    other.get_by_role("button", name="Discard", exact=True).click()
    expect(other.get_by_role("region", name="P", exact=True)).to_be_visible()
    all_saved(other)
    failing = False
    other.reload()
    expect(other.get_by_role("region", name="P", exact=True)).to_be_visible()
    all_saved(other)
    assert boards.read(board)["version"] == 1
    # A save that had to wait ends as one that did not.
    failing = True
    other.goto(f"/dashboards/{board}/panels/{panel}/edit")
    other.get_by_label("Title").fill("Later")
    other.get_by_role("button", name="Save panel").click()
    expect(other.get_by_role("alert").filter(has_text="Your changes are not saved")).to_be_visible()
    failing = False
    expect(other.get_by_role("region", name="Later", exact=True)).to_be_visible()
    expect(other.get_by_role("button", name="Done")).to_be_visible()
    assert list(boards.positions(board)) == ["Later"]


def test_no_change_of_two_browsers_is_lost_silently(
    others: tuple[Page, Page], boards: Boards
) -> None:
    page, other = others
    board = boards.make("Shared", *THREE)
    edit(other, board)
    edit(page, board)
    menu(page, "A", "Remove")
    all_saved(page)

    # The other browser has not seen that: its own change is kept and does not overwrite the first.
    drag(other, header(other, "B"), -700, 300)
    conflict = other.get_by_role("alert").filter(has_text="Someone else has changed")
    expect(conflict).to_be_visible()
    assert sorted(boards.positions(board)) == ["B", "C"]
    conflict.get_by_role("button", name="Overwrite").click()
    all_saved(other)
    expect(conflict).to_have_count(0)
    merged = boards.positions(board)
    assert sorted(merged) == ["B", "C"], "what the first removed stays removed"
    assert merged["B"][0] < 6, "what the second moved is moved"

    # And the other way round, with Reload.
    drag(page, header(page, "C"), 700, 20)
    conflict = page.get_by_role("alert").filter(has_text="Someone else has changed")
    expect(conflict).to_be_visible()
    conflict.get_by_role("button", name="Reload").click()
    expect(conflict).to_have_count(0)
    all_saved(page)
    assert boards.positions(board) == merged


def test_two_editors_of_one_panel_get_a_conflict(others: tuple[Page, Page], boards: Boards) -> None:
    page, other = others
    board = boards.make("One panel", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    for one in (page, other):
        one.goto(f"/dashboards/{board}/panels/{panel}/edit")
        expect(one.get_by_role("heading", name="Edit P")).to_be_visible()
    page.get_by_label("Title").fill("First")
    page.get_by_role("button", name="Save panel").click()
    expect(page.get_by_role("region", name="First")).to_be_visible()
    other.get_by_label("Title").fill("Second")
    other.get_by_role("button", name="Save panel").click()
    conflict = other.get_by_role("alert").filter(has_text="Someone else has changed")
    expect(conflict).to_be_visible()
    assert list(boards.positions(board)) == ["First"]
    conflict.get_by_role("button", name="Reload").click()
    expect(other.get_by_label("Title")).to_have_value("First")


def test_a_panel_is_built_with_a_live_preview(other: Page, stack: dict[str, str]) -> None:
    boards = Boards(other, stack["url"])
    board = boards.make("Built")
    other.goto(f"/dashboards/{board}")
    other.get_by_role("button", name="Edit", exact=True).click()
    other.get_by_role("link", name="Add panel").click()
    expect(other.get_by_role("heading", name="New panel", level=1)).to_be_visible()

    query = other.get_by_role("combobox", name="Query A")
    query.press_sequentially("load_")
    expect(other.get_by_role("option", name="load_15")).to_be_visible()
    query.press("ArrowDown")
    query.press("Enter")
    expect(query).to_have_value("load_15")
    preview = other.get_by_role("region", name="New panel")
    expect(preview.get_by_role("button", name=re.compile("load_15"))).to_be_visible()

    other.get_by_role("button", name="Add query").click()
    second = other.get_by_role("combobox", name="Query B")
    second.fill('load_1{host="}')
    error = other.get_by_role("group", name="Query B").get_by_role("alert")
    expect(error).to_contain_text("at character")
    expect(error.locator("mark")).to_be_visible()
    expect(preview.get_by_role("button", name=re.compile("load_15"))).to_be_visible()
    second.fill("load_1")
    expect(error).to_have_count(0)
    other.get_by_role("group", name="Query B").get_by_label("Alias").fill("{{host}} short")
    expect(preview.get_by_role("button", name=re.compile("short"))).to_be_visible()

    other.get_by_label("Title").fill("")
    other.get_by_role("button", name="Save panel").click()
    expect(other.get_by_text("Enter a title.", exact=True)).to_be_visible()
    expect(other.get_by_text("Not saved. Title:")).to_be_visible()
    other.get_by_label("Title").fill("Load of this host")
    other.get_by_role("radio", name="Area", exact=True).click()
    other.get_by_label("Unit").first.select_option("percent")
    other.get_by_text("Colours and legend").click()
    other.get_by_role("combobox", name="Legend").select_option("table")
    legend = other.get_by_role("region", name="Load of this host").get_by_role("table")
    expect(legend.get_by_role("columnheader", name="avg")).to_be_visible()
    other.get_by_text("Thresholds (0)").click()
    other.get_by_role("button", name="Add threshold").click()
    other.get_by_label("From", exact=True).fill("2.5")
    other.get_by_text("Series overrides (0)").click()
    other.get_by_role("button", name="Add override").click()
    other.get_by_label("Series", exact=True).fill("*short")
    other.get_by_label("Display name").fill("brief")
    expect(legend.get_by_role("button", name="brief")).to_be_visible()
    other.get_by_role("button", name="Save panel").click()
    expect(other.get_by_role("button", name="Done")).to_be_visible()
    expect(other.get_by_role("region", name="Load of this host")).to_be_visible()
    (saved,) = boards.read(board)["panels"]
    assert (saved["type"], saved["title"]) == ("area", "Load of this host")
    assert [entry["query"] for entry in saved["queries"]] == ["load_15", "load_1"]
    assert saved["options"]["thresholds"][0]["value"] == 2.5
    assert (saved["options"]["unit"], saved["options"]["legend"]) == ("percent", "table")


@pytest.mark.parametrize("kind", ["stat", "gauge", "table", "bar"])
def test_each_type_draws(page: Page, boards: Boards, kind: str) -> None:
    board = boards.make(f"Type {kind}", ("P", (0, 0, 6, 6)))
    panel = boards.read(board)["panels"][0]["id"]
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    names = {"stat": "Stat", "gauge": "Gauge", "table": "Table", "bar": "Bars"}
    page.get_by_role("radio", name=names[kind], exact=True).click()
    preview = page.get_by_role("region", name="P", exact=True)
    expect(preview.get_by_text(re.compile(r"^\d[\d.]*$")).first).to_be_attached()
    if kind == "gauge":
        expect(preview.locator("svg[data-gauge]")).to_be_visible()
    page.get_by_role("button", name="Save panel").click()
    expect(page.get_by_role("button", name="Done")).to_be_visible()
    assert boards.read(board)["panels"][0]["type"] == kind


def test_a_dashboard_from_creation_to_deletion(page: Page, boards: Boards, tmp_path: Path) -> None:
    page.goto("/")
    page.get_by_role("button", name="New dashboard").click()
    dialog = page.get_by_role("dialog", name="New dashboard")
    dialog.get_by_role("button", name="Create dashboard").click()
    expect(dialog.get_by_text("Enter a name")).to_be_visible()
    dialog.get_by_label("Name").fill("Whole life")
    dialog.get_by_role("button", name="Create dashboard").click()
    expect(page.get_by_role("heading", name="Whole life")).to_be_visible()
    expect(page.get_by_text("No panels yet")).to_be_visible()
    page.get_by_role("button", name="Done").click()

    def act(action: str) -> None:
        page.get_by_role("button", name="Dashboard menu").click()
        page.get_by_role("menuitem", name=action).click()

    act("Settings")
    dialog = page.get_by_role("dialog", name="Dashboard settings")
    dialog.get_by_label("Name").fill("Renamed")
    dialog.get_by_label("Public").check()
    dialog.get_by_role("tab", name="Time").click()
    dialog.get_by_label("Default time range").select_option("6h")
    dialog.get_by_role("tab", name="Variables").click()
    dialog.get_by_role("button", name="Add variable").click()
    dialog.get_by_label("Name").last.fill("env")
    dialog.get_by_label("Values from").select_option("list")
    dialog.get_by_label("Values", exact=True).fill("production, staging")
    dialog.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    board = page.url.split("/")[-1].split("?")[0]
    saved = boards.read(board)
    assert saved["isPublic"]
    assert saved["settings"]["timeRange"] == "6h"
    assert saved["settings"]["variables"][0]["values"] == ["production", "staging"]

    with page.expect_download() as coming:
        act("Export as JSON")
    assert coming.value.suggested_filename == "renamed.json"
    file = tmp_path / "renamed.json"
    coming.value.save_as(file)
    assert json.loads(file.read_text())["name"] == "Renamed"

    act("History")
    dialog = page.get_by_role("dialog", name="History of Renamed")
    dialog.get_by_role("button", name="Restore version 1").click()
    expect(page.get_by_role("heading", name="Whole life")).to_be_visible()

    act("Delete")
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_role("heading", name="Dashboards")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Whole life"))).to_have_count(0)

    page.get_by_role("button", name="Import").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("dialog").get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Open dashboard").click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_editing_is_accessible(
    page: Page, boards: Boards, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    board = boards.make(f"Accessible {theme}", *THREE)
    panel = boards.read(board)["panels"][0]["id"]
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    edit(page, board)
    expect(page.get_by_role("list", name="Legend").first).to_be_visible()
    check_accessible(page)
    page.goto(f"/dashboards/{board}/panels/{panel}/edit")
    expect(page.get_by_role("list", name="Legend")).to_be_visible()
    for section in page.locator("summary").all():
        if not section.evaluate("node => node.parentElement.open"):
            section.click()
    for name in ("threshold", "override", "link"):
        page.get_by_role("button", name=f"Add {name}").click()
    check_accessible(page)
    page.goto(f"/dashboards/{board}")
    page.get_by_role("button", name="Dashboard menu").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="Variables").click()
    page.get_by_role("button", name="Add variable").click()
    check_accessible(page)


def test_editing_fits_a_phone(page: Page, boards: Boards) -> None:
    board = boards.make("Phone", *THREE)
    panel = boards.read(board)["panels"][0]["id"]
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (f"/dashboards/{board}?edit=1", f"/dashboards/{board}/panels/{panel}/edit"):
        page.goto(path)
        expect(page.get_by_role("region", name="A", exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"/dashboards/{board}?edit=1")
    menu(page, "C", "Move")
    page.get_by_role("button", name="Move up").click()
    page.get_by_role("button", name="Confirm").click()
    all_saved(page)
    assert boards.positions(board)["C"] == (0, 0, 6, 6)
