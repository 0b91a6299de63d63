"""Signing in with a password and viewing the board of this machine, in Chromium."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, expect

pytestmark = pytest.mark.e2e

WATCH_SHIFTS = """() => {
  window.shifts = []
  // What has no source is below a pixel.
  const moved = (entry) => entry.sources.map(({ node }) => node?.outerHTML).filter(Boolean)
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().flatMap(moved)))
    .observe({ type: 'layout-shift' })
  document.querySelectorAll('canvas').forEach((canvas) => { canvas.dataset.same = 'yes' })
}"""


def is_batch(message: Request | Response) -> bool:
    return message.url.endswith("/api/v1/query/batch")


def canvas_picture(page: Page, title: str) -> str:
    """The content of a panel's canvas, as a data URL."""
    canvas = page.get_by_role("region", name=title, exact=True).locator("canvas")
    picture: str = canvas.evaluate("(canvas) => canvas.toDataURL()")
    return picture


@pytest.fixture(scope="module")
def board(stack: dict[str, str], browser: Browser, signed_in: Any) -> str:
    """The path of "This machine", once it shows the agent's first samples."""
    context = browser.new_context(storage_state=signed_in, base_url=stack["url"])
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name=re.compile("This machine")).click()
    load = page.get_by_role("region", name="Load", exact=True)
    expect(load.get_by_role("list", name="Legend").get_by_role("button").first).to_be_visible(
        timeout=90_000
    )
    path = page.url.removeprefix(stack["url"]).split("?")[0]
    context.close()
    return path


def test_a_wrong_password_is_reported_and_the_right_one_returns(
    stack: dict[str, str], browser: Browser, check_accessible: Callable[[Page], None]
) -> None:
    context = browser.new_context(base_url=stack["url"])
    page = context.new_page()
    page.goto("/status")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page).to_have_title("Sign in · Pulseboard")
    check_accessible(page)
    page.get_by_label("Email").fill(stack["email"])
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Wrong email or password.")
    page.get_by_label("Password").fill(stack["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()
    assert page.url == f"{stack['url']}/status"
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_board_is_accessible(
    page: Page, board: str, theme: str, check_accessible: Callable[[Page], None]
) -> None:
    page.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
    page.goto(board)
    expect(page.locator("canvas").first).to_be_visible()
    expect(page).to_have_title("This machine · Pulseboard")
    check_accessible(page)
    page.get_by_role("button", name=re.compile("^Time range")).click()
    expect(page.get_by_role("dialog", name="Choose a time range")).to_be_visible()
    check_accessible(page)


def test_two_refreshes_move_the_line_and_nothing_else(page: Page, board: str) -> None:
    page.goto(f"{board}?from=now-5m&to=now&refresh=5s")
    expect(page.get_by_role("region", name="Load", exact=True).locator("canvas")).to_be_visible()
    count = page.locator("canvas").count()
    page.evaluate(WATCH_SHIFTS)
    before = canvas_picture(page, "Load")
    for _ in range(2):
        with page.expect_response(is_batch, timeout=20_000):
            pass
    expect(page.locator("canvas[data-same]")).to_have_count(count)
    assert canvas_picture(page, "Load") != before
    assert page.evaluate("window.shifts") == []


def test_a_longer_range_reads_minutes_and_is_in_the_url(page: Page, board: str) -> None:
    page.goto(board)
    page.get_by_role("button", name="Time range: Last 15 minutes").click()
    page.get_by_role("button", name="Last 6 hours").click()
    expect(page).to_have_url(re.compile(r"\?from=now-6h&to=now$"))
    load = page.get_by_role("region", name="Load", exact=True)
    load.hover()
    load.get_by_role("button", name="About Load").click()
    expect(page.get_by_role("dialog", name="About Load")).to_contain_text("metrics_1min")


def test_a_drag_zooms_in_and_a_double_click_zooms_out_even_without_data(
    page: Page, board: str
) -> None:
    page.goto(f"{board}?from=now-30m&to=now")
    load = page.get_by_role("region", name="Load", exact=True)
    plot = load.locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    # Half an hour ago this stack did not exist: a zoom to a range without data.
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 45, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d{13}&to=\d{13}"))
    expect(load.get_by_text("No data in this range")).to_be_visible()
    plot.dblclick(position={"x": 80, "y": 40})
    expect(page).to_have_url(re.compile(r"from=now-30m&to=now"))
    expect(load.get_by_text("No data in this range")).to_have_count(0)


def test_times_can_be_typed_and_invalid_ones_are_reported(page: Page, board: str) -> None:
    page.goto(f"{board}?tz=utc")
    page.get_by_role("button", name=re.compile("^Time range")).click()
    dialog = page.get_by_role("dialog", name="Choose a time range")
    dialog.get_by_label("From").fill("2026-01-31 14:05:09")
    dialog.get_by_label("To").fill("2026-01-31 14:0")
    expect(dialog.get_by_role("alert")).to_have_text("To is not a valid time.")
    dialog.get_by_label("To").fill("2026-01-31 15:05:10")
    dialog.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("from=1769868309000&to=1769871910000"))
    page.get_by_role("button", name=re.compile("^Time range")).click()
    expect(dialog.get_by_label("From")).to_have_value("2026-01-31 14:05:09")
    dialog.get_by_role("button", name="Yesterday").click()
    expect(page).to_have_url(re.compile("from=now-1d/d&to=now-1d/d"))


def test_a_phone_needs_no_sideways_scrolling(page: Page, board: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (board, "/", "/status", "/api-keys"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_unknown_page_says_so(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_text("Page not found")).to_be_visible()
    expect(page).to_have_title("Page not found · Pulseboard")
