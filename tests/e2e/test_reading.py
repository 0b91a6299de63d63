"""Viewing a board: variables, repeats, full screen, kiosk, legend, search, shortcuts."""

import csv
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIRequestContext, Browser, Locator, Page, Request, expect
from playwright.sync_api import TimeoutError as NotInTime

pytestmark = pytest.mark.e2e

HOSTS = ("web-1", "web-2", "db.1")


def panel(
    title: str, query: str, position: tuple[int, int, int, int], **more: Any
) -> dict[str, Any]:
    x, y, w, h = position
    return {
        "title": title,
        "type": more.pop("type", "line"),
        "queries": [{"query": query, "alias": more.pop("alias", "{{host}}")}],
        "options": more,
        "position": {"x": x, "y": y, "w": w, "h": h},
    }


def ingest(api: APIRequestContext, key: str) -> None:
    """Ten minutes of three hosts, one of them idle."""
    now = int(time.time()) // 10 * 10
    points = [
        {
            "name": "reading_cpu",
            "tags": {"host": host},
            "value": 0 if host == "db.1" else 30 + 20 * position + 10 * math.sin(timestamp / 60),
            "timestamp": timestamp * 1000,
        }
        for timestamp in range(now - 600, now, 10)
        for position, host in enumerate(HOSTS)
    ]
    response = api.post(
        "/api/v1/metrics", data={"points": points}, headers={"Authorization": f"Bearer {key}"}
    )
    assert response.ok, response.text()


@pytest.fixture(scope="module")
def board(stack: dict[str, str], browser: Browser, signed_in: Any) -> Iterator[str]:
    """The path of a board with variables."""
    context = browser.new_context(storage_state=signed_in, base_url=stack["url"])
    ingest(context.request, stack["api_key"])
    body = {
        "name": "Reading",
        "settings": {
            "timeRange": "15m",
            "refresh": None,
            "variables": [
                {
                    "name": "host",
                    "label": "Host",
                    "type": "tag",
                    "metric": "reading_cpu",
                    "tag": "host",
                    "multi": True,
                    "includeAll": True,
                },
                {"name": "role", "type": "list", "values": ["web-1", "db.1"]},
            ],
        },
        "panels": [
            panel("CPU of $host", 'reading_cpu{host="$host"}', (0, 0, 12, 6)),
            panel("Only $host", 'reading_cpu{host="$host"}', (0, 6, 4, 5), repeat="host"),
            panel("Role $role", 'reading_cpu{host="${role}"}', (0, 11, 4, 5), type="stat"),
            panel("Nothing", 'reading_cpu{host="gone"}', (4, 11, 4, 5)),
            panel("Wrong", "reading_cpu{", (8, 11, 4, 5)),
        ],
    }
    created = context.request.post(
        "/api/v1/dashboards", data=body, headers={"Origin": stack["url"]}
    )
    assert created.ok, created.text()
    identity = created.json()["data"]["id"]
    yield f"/dashboards/{identity}"
    context.request.delete(f"/api/v1/dashboards/{identity}", headers={"Origin": stack["url"]})
    context.close()


@pytest.fixture
def opened(page: Page, board: str) -> Page:
    page.goto(board)
    expect(region(page, "CPU of All").locator("canvas")).to_be_visible()
    return page


def region(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def legend(page: Page, title: str) -> Locator:
    return region(page, title).get_by_role("list", name="Legend").get_by_role("button")


def test_variables_fill_queries_and_titles_and_are_in_the_url(opened: Page) -> None:
    page = opened
    expect(legend(page, "CPU of All")).to_have_count(3)
    page.get_by_role("button", name="Host: All").click()
    choice = page.get_by_role("dialog", name="Choose Host")
    choice.get_by_label("web-1").check()
    expect(legend(page, "CPU of web-1")).to_have_count(1)
    choice.get_by_label("db.1").check()
    expect(page).to_have_url(re.compile(r"var-host=web-1&var-host=db\.1"))
    expect(legend(page, "CPU of web-1 + db.1")).to_have_count(2)
    page.keyboard.press("Escape")
    page.get_by_label("role", exact=True).select_option("db.1")
    # Zero is a value: it is shown, and is not a missing value.
    expect(region(page, "Role db.1")).to_contain_text("0")
    page.reload()
    expect(legend(page, "CPU of web-1 + db.1")).to_have_count(2)
    page.go_back()
    expect(region(page, "Role web-1")).to_be_visible()


def test_hundreds_of_values_may_be_chosen(page: Page, board: str, stack: dict[str, str]) -> None:
    """A pattern of thousands of characters, on a board without repeated panels."""
    origin = {"Origin": stack["url"]}
    settings = page.request.get(f"/api/v1{board}").json()["data"]["settings"]
    body = {
        "name": "Hundreds",
        "settings": settings,
        "panels": [panel("Many", 'reading_cpu{host="$host"}', (0, 0, 12, 6))],
    }
    created = page.request.post("/api/v1/dashboards", data=body, headers=origin)
    identity = created.json()["data"]["id"]
    many = "&".join(f"var-host=ip-10-0-0-{number}.eu-west-1" for number in range(300))
    page.goto(f"/dashboards/{identity}?{many}&var-host=web-1")
    expect(legend(page, "Many")).to_have_count(1)
    page.request.delete(f"/api/v1/dashboards/{identity}", headers=origin)


def test_the_panel_editor_fills_variables_too(opened: Page) -> None:
    page = opened
    page.get_by_role("button", name="Host: All").click()
    page.get_by_role("dialog", name="Choose Host").get_by_label("web-2").check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu of CPU of web-2", exact=True).click()
    page.get_by_role("menuitem", name="Edit").click()
    expect(page.get_by_role("combobox", name="Query A")).to_have_value('reading_cpu{host="$host"}')
    expect(legend(page, "CPU of web-2")).to_have_count(1)
    page.get_by_role("button", name="Host: web-2").click()
    page.get_by_role("dialog", name="Choose Host").get_by_label("All").check()
    expect(legend(page, "CPU of All")).to_have_count(3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_values_are_sorted_mapped_and_coloured_and_readable(
    page: Page,
    board: str,
    stack: dict[str, str],
    theme: str,
    check_accessible: Callable[[Page], None],
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    origin = {"Origin": stack["url"]}
    options = {
        "thresholds": [{"value": 1, "color": "green"}, {"value": 40, "color": "orange"}],
        "mappings": [{"low": 0, "high": 0, "text": "Idle", "color": "sky"}],
    }
    panels = [
        panel("Table", "reading_cpu", (0, 0, 6, 5), type="table", **options),
        panel("Stats", "reading_cpu", (6, 0, 6, 5), type="stat", **options),
        panel("Gauges", "reading_cpu", (0, 5, 6, 5), type="gauge", **options),
        panel(
            "Mirrored",
            "reading_cpu",
            (6, 5, 6, 5),
            type="area",
            legend="table",
            overrides=[{"match": "web-2", "negative": True}],
        ),
    ]
    body = {"name": theme, "settings": {"timeRange": "15m", "refresh": None}, "panels": panels}
    created = page.request.post("/api/v1/dashboards", data=body, headers=origin)
    identity = created.json()["data"]["id"]
    page.goto(f"/dashboards/{identity}")
    table = region(page, "Table").get_by_role("table")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("db.1")
    expect(rows.first).to_contain_text("Idle")
    table.get_by_role("button", name="avg").click()
    expect(table.get_by_role("columnheader", name="avg")).to_have_attribute(
        "aria-sort", "descending"
    )
    expect(rows.first).to_contain_text("web-2")
    expect(region(page, "Stats")).to_contain_text("Idle")
    expect(region(page, "Gauges").locator("svg[data-gauge]")).to_have_count(3)
    expect(region(page, "Mirrored").locator("canvas")).to_be_visible()
    check_accessible(page)
    page.request.delete(f"/api/v1/dashboards/{identity}", headers=origin)


def test_a_long_board_queries_only_visible_panels(
    page: Page, board: str, stack: dict[str, str]
) -> None:
    origin = {"Origin": stack["url"]}
    panels = [panel(f"P{number}", "reading_cpu", (0, number * 5, 12, 5)) for number in range(60)]
    body = {"name": "Long", "settings": {"timeRange": "15m", "refresh": None}, "panels": panels}
    created = page.request.post("/api/v1/dashboards", data=body, headers=origin)
    identity = created.json()["data"]["id"]
    requested: list[int] = []

    def count(sent: Request) -> None:
        if sent.url.endswith("/query/batch"):
            requested.append(len((sent.post_data_json or {})["queries"]))

    page.on("request", count)
    page.goto(f"/dashboards/{identity}")
    expect(legend(page, "P0")).to_have_count(3)
    assert requested == [24]
    region(page, "P59").scroll_into_view_if_needed()
    expect(legend(page, "P59")).to_have_count(3)
    assert requested[-1] == 12
    page.request.delete(f"/api/v1/dashboards/{identity}", headers=origin)


def act(page: Page, title: str, action: str) -> None:
    page.get_by_role("button", name=f"Menu of {title}", exact=True).click()
    page.get_by_role("menuitem", name=action).click()


def test_the_data_of_a_panel_is_shown_and_downloaded(
    opened: Page, tmp_path: Path, check_accessible: Callable[[Page], None]
) -> None:
    page = opened
    act(page, "CPU of All", "Inspect data")
    dialog = page.get_by_role("dialog", name="Data of CPU of All")
    expect(dialog.get_by_role("columnheader", name="web-2")).to_be_visible()
    expect(dialog.get_by_text('reading_cpu{host=~".*"}')).to_be_visible()
    dialog.get_by_role("button", name="Explain").click()
    expect(dialog.get_by_text(re.compile(r"^raw, step \d+s"))).to_be_visible()
    expect(dialog.get_by_text(re.compile(r"\d+ of \d+ points"))).to_be_visible()
    expect(dialog.get_by_text(re.compile("plan .* ms, cache .* ms"))).to_be_visible()
    check_accessible(page)
    with page.expect_download() as coming:
        dialog.get_by_role("button", name="Download CSV").click()
    assert coming.value.suggested_filename == "cpu-of-all.csv"
    file = tmp_path / "panel.csv"
    coming.value.save_as(file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert set(rows[0]) == {"time", *HOSTS}
    assert {row["db.1"] for row in rows} <= {"0", ""}, "zero is written as zero, a gap as nothing"


def test_a_panel_is_explored_with_its_variables_filled_in(opened: Page) -> None:
    page = opened
    act(page, "Only web-1", "Explore")
    expect(page.get_by_role("combobox", name="Query A")).to_have_value('reading_cpu{host="web-1"}')
    expect(page.get_by_role("region", name="Chart").locator("canvas")).to_be_visible()
    expect(page).to_have_url(re.compile("from=now-15m"))


def test_a_panel_is_repeated_for_each_value(opened: Page) -> None:
    page = opened
    for host in HOSTS:
        expect(region(page, f"Only {host}").locator("canvas")).to_be_visible()
    first, third = (region(page, f"Only {host}").bounding_box() for host in ("db.1", "web-2"))
    assert first is not None
    assert third is not None
    assert first["y"] == third["y"]
    assert first["x"] < third["x"]


def test_no_data_and_an_error_look_different(opened: Page) -> None:
    page = opened
    expect(region(page, "Nothing")).to_contain_text("No data in this range")
    expect(region(page, "Nothing").get_by_role("alert")).to_have_count(0)
    expect(region(page, "Wrong").get_by_role("alert")).to_be_visible()
    expect(region(page, "Wrong").get_by_role("button", name="Retry")).to_be_visible()


def test_the_legend_isolates_and_hides_by_mouse_and_keyboard(opened: Page) -> None:
    page = opened
    names = legend(page, "CPU of All")

    def expect_shown(*shown: str) -> None:
        for name, state in zip(names.all(), shown, strict=True):
            expect(name).to_have_attribute("aria-pressed", state)

    names.first.click()
    expect_shown("true", "false", "false")
    names.first.click()
    expect_shown("true", "true", "true")
    names.nth(1).click(modifiers=["Control"])
    expect_shown("true", "false", "true")
    names.nth(1).press("Control+Enter")
    expect_shown("true", "true", "true")
    names.nth(1).press("Enter")
    expect_shown("false", "true", "false")


def test_the_crosshair_is_synchronised_and_the_tooltip_is_sorted(opened: Page) -> None:
    page = opened
    plot = region(page, "CPU of All").locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    plot.hover(position={"x": box["width"] * 0.8, "y": 40})
    tip = region(page, "CPU of All").get_by_role("tooltip")
    rows = tip.inner_text()
    assert rows.index("web-2") < rows.index("web-1") < rows.index("db.1")
    own, other = (
        region(page, title)
        .locator(".u-cursor-x")
        .evaluate("(line) => new DOMMatrix(getComputedStyle(line).transform).m41")
        / (region(page, title).locator(".u-over").bounding_box() or {"width": 1})["width"]
        for title in ("CPU of All", "Only web-1")
    )
    assert own == pytest.approx(other, abs=0.01)
    expect(region(page, "Only web-1").get_by_role("tooltip")).to_have_count(0)


def test_a_panel_fills_the_page_with_its_own_url(opened: Page, board: str) -> None:
    page = opened
    region(page, "Only web-1").hover()
    page.get_by_role("button", name="View Only web-1 full screen").click()
    expect(page).to_have_url(re.compile(r"panel=[0-9a-f-]+(@|%40)web-1"))
    expect(page.get_by_role("region", name="Only web-2")).to_have_count(0)
    page.reload()
    box = region(page, "Only web-1").bounding_box()
    assert box is not None
    assert box["height"] > 600
    page.keyboard.press("Escape")
    expect(region(page, "Only web-2")).to_be_visible()
    region(page, "Nothing").hover()
    page.keyboard.press("v")
    expect(page.get_by_role("region", name="Only web-2")).to_have_count(0)
    page.get_by_role("button", name="Back to the dashboard").click()
    expect(region(page, "Only web-2")).to_be_visible()


def test_a_kiosk_shows_only_panels(opened: Page, check_accessible: Callable[[Page], None]) -> None:
    page = opened
    page.get_by_role("button", name="Kiosk view").click()
    expect(page).to_have_url(re.compile("kiosk=1"))
    expect(page.get_by_role("navigation", name="Main")).to_have_count(0)
    expect(page.get_by_role("heading", name="Reading", level=1)).to_be_visible()
    expect(region(page, "CPU of All").locator("canvas")).to_be_visible()
    check_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_the_range_shifts_and_widens(opened: Page) -> None:
    page = opened
    expect(page.get_by_role("button", name="Shift range forward")).to_be_disabled()
    page.get_by_role("button", name="Shift range back").click()
    expect(page).to_have_url(re.compile(r"from=\d{13}&to=\d{13}"))

    def width() -> int:
        start, end = re.findall(r"(?:from|to)=(\d{13})", page.url)
        return int(end) - int(start)

    assert width() == 15 * 60_000
    shifted = page.url
    page.keyboard.press("t")
    page.keyboard.press("z")
    expect(page).not_to_have_url(shifted)
    assert width() == 30 * 60_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_search_finds_dashboards_metrics_and_actions(
    page: Page, board: str, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    page.goto("/")
    expect(page.get_by_role("heading", name="Dashboards", level=1)).to_be_visible()
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search dashboards, metrics and actions")
    expect(field).to_be_focused()
    field.fill("reading")
    results = page.get_by_role("listbox", name="Results")
    expect(results.get_by_role("option", name="Reading", exact=True)).to_be_visible()
    expect(results.get_by_role("option", name="reading_cpu")).to_be_visible()
    check_accessible(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="reading_cpu", level=1)).to_be_visible()
    expect(region(page, "reading_cpu").locator("canvas")).to_be_visible()
    check_accessible(page)
    page.keyboard.press("Control+k")
    field.fill("status")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()


def go_to_dashboards(page: Page) -> None:
    """Presses g and h, again where a busy machine took too long between the two."""
    heading = page.get_by_role("heading", name="Dashboards", level=1)
    for _ in range(10):
        page.keyboard.press("g")
        page.keyboard.press("h")
        try:
            heading.wait_for(timeout=5_000)
            return
        except NotInTime:
            continue
    expect(heading).to_be_visible()


def test_shortcuts_are_listed_and_work(
    opened: Page, check_accessible: Callable[[Page], None]
) -> None:
    page = opened
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.get_by_text("Shift range back")).to_be_visible()
    check_accessible(page)
    dialog.get_by_label("Enable single-letter shortcuts").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("h")
    expect(page.get_by_role("heading", name="Reading", level=1)).to_be_visible()
    page.keyboard.press("?")
    dialog.get_by_label("Enable single-letter shortcuts").check()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    go_to_dashboards(page)


def test_favourites_and_recent_boards_come_first(opened: Page) -> None:
    page = opened
    star = page.get_by_role("button", name="Favourite: Reading")
    expect(star).to_have_attribute("aria-pressed", "false")
    page.goto("/")
    recent = page.get_by_role("region", name="Recently opened")
    expect(recent.get_by_role("link").first).to_have_text("Reading")
    star.click()
    favourites = page.get_by_role("region", name="Favourites")
    expect(favourites.get_by_role("link", name="Reading")).to_be_visible()
    expect(page.get_by_role("link", name="Reading")).to_have_count(1)
    star.click()
    expect(favourites).to_have_count(0)


def test_the_board_is_usable_on_a_phone(opened: Page) -> None:
    page = opened
    page.set_viewport_size({"width": 390, "height": 844})
    expect(region(page, "CPU of All").locator("canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("Host: All", "Search dashboards, metrics and actions", "Refresh now"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_reduced_motion_disables_animations(
    stack: dict[str, str], browser: Browser, signed_in: Any, board: str
) -> None:
    context = browser.new_context(
        storage_state=signed_in, base_url=stack["url"], reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(board)
    expect(region(page, "CPU of All").locator("canvas")).to_be_visible()
    slow = page.evaluate(
        """[...document.querySelectorAll('*')].filter((element) => {
          const { transitionDuration, animationDuration } = getComputedStyle(element)
          return [transitionDuration, animationDuration].some((time) => parseFloat(time) > 0.01)
        }).length"""
    )
    assert slow == 0
    context.close()
