"""Fixtures for the tests in Chromium, which share one local stack and one browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.local import trial

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# A busy machine is slow, not wrong: other tests run beside these.
expect.set_options(timeout=30_000)

_SETTLED = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
  .map((one) => one.finished))"""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`make up` in its own folder: the contents of state.json, and the sign-in link."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    if not (ROOT / "frontend" / "dist" / "index.html").exists():
        pytest.skip("the SPA is not built: make test builds it")
    with trial.running(tmp_path_factory.mktemp("local")) as state:
        yield state


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def signed_in(stack: dict[str, str], browser: Browser) -> Any:
    """The cookies of a user who signed in with the sign-in link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack["link"])
    expect(page.get_by_role("heading", name="This machine")).to_be_visible()
    assert "token" not in page.url
    signed_in_state = context.storage_state()
    context.close()
    return signed_in_state


@pytest.fixture
def page(stack: dict[str, str], browser: Browser, signed_in: Any) -> Iterator[Page]:
    """A page of a signed-in user. A test fails if the console shows an error."""
    context = browser.new_context(
        storage_state=signed_in,
        base_url=stack["url"],
        viewport={"width": 1440, "height": 900},
        color_scheme="light",
    )
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield opened
    context.close()
    assert problems == []


@pytest.fixture(scope="session")
def check_accessible() -> Callable[[Page], None]:
    """Fails with axe's report if axe finds a violation on a page."""

    def check(page: Page) -> None:
        # An element that is half faded in has half its contrast.
        page.evaluate(_SETTLED)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    return check
