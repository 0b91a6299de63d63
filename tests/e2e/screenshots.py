"""Takes the screenshots in docs/img from the running stack: each page light, dark and narrow.

python tests/e2e/screenshots.py [state.json [folder [beginning of the pictures' names]]]
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

BUSY = "Processor is busy"
ROOT = Path(__file__).parents[2]
VARIANTS = {
    "light": ("light", 1440, 900),
    "dark": ("dark", 1440, 900),
    "narrow": ("light", 390, 844),
}


def pages(board: str) -> dict[str, tuple[str, Callable[[Page], None] | None]]:
    """Name of a screenshot → path, and an action to do there first."""
    return {
        "home": ("/", None),
        "board": (board, None),
        "range": (board, lambda page: page.get_by_role("button", name="Time range").click()),
        "panel": (board, _view_a_panel),
        "inspect": (board, _inspect_a_panel),
        "kiosk": (f"{board}?kiosk=1", None),
        "explore": ("/explore?q=cpu_mode_percent&q=load_1", None),
        "alerts": ("/alerts", None),
        "alerts-history": ("/alerts?tab=history", None),
        "alerts-silences": ("/alerts?tab=silences", None),
        "alerts-channels": ("/alerts?tab=channels", None),
        "alerts-notifications": ("/alerts?tab=notifications", None),
        "alert-rule": ("/alerts", _open_a_rule),
        "alert-editor": ("/alerts/new?query=cpu_usage_percent&name=High+CPU", _backtest),
        "metric": ("/metrics/cpu_usage_percent", None),
        "search": ("/", lambda page: page.keyboard.press("/")),
        "shortcuts": (board, lambda page: page.keyboard.press("?")),
        "add-data": ("/add-data?agent=prometheus", None),
        "usage": ("/usage", None),
        "metric-usage": ("/usage/cpu_mode_percent", None),
        "pulseboard-itself": ("/", _open_itself),
        "status": ("/status", None),
        "api-keys": ("/api-keys", None),
        "users": ("/users", None),
        "account": ("/account", None),
        "not-found": ("/nowhere", None),
    }


def _open_itself(page: Page) -> None:
    page.get_by_role("link", name="Pulseboard itself").first.click()
    page.wait_for_timeout(2000)


def _view_a_panel(page: Page) -> None:
    page.get_by_role("region", name="Load", exact=True).hover()
    page.keyboard.press("v")


def _open_a_rule(page: Page) -> None:
    page.get_by_role("link", name=BUSY, exact=True).click()
    page.get_by_role("heading", name="History").wait_for()
    page.wait_for_timeout(1000)


def _backtest(page: Page) -> None:
    page.get_by_label("Threshold").fill("3")
    page.get_by_label("For", exact=True).fill("10s")
    page.get_by_role("button", name="Backtest").click()
    page.get_by_text(re.compile("It would")).wait_for()


def _create_alerts(page: Page) -> None:
    """Creates a rule that fires, a channel without a receiver, and a silence, once."""
    api = "/api/v1/alerts"
    found = page.request.get(f"{api}/rules?search={BUSY.replace(' ', '+')}").json()["data"]
    if found:
        return
    receiver = {"type": "webhook", "url": "http://127.0.0.1:9/alerts", "secret": "not shown"}
    page.request.post(f"{api}/channels", data={"name": "night shift", "receiver": receiver})
    mail = {"type": "email", "to": ["ops@example.com"]}
    page.request.post(f"{api}/channels", data={"name": "ops by mail", "receiver": mail})
    rule = {
        "name": BUSY,
        "query": "cpu_usage_percent",
        "condition": "gt",
        "threshold": -1,
        "severity": "critical",
        "labels": {"team": "ops"},
        "runbookUrl": "https://wiki.example.com/cpu",
        "notification": {
            "channels": [
                {"type": "saved", "name": "night shift"},
                {"type": "saved", "name": "ops by mail"},
            ]
        },
    }
    assert page.request.post(f"{api}/rules", data=rule).ok
    silence = {
        "matchers": [{"label": "host", "operator": "=~", "value": "build-.*"}],
        "endsAt": int((time.time() + 86_400) * 1000),
        "comment": "Moving to the new rack",
    }
    assert page.request.post(f"{api}/silences", data=silence).ok
    page.wait_for_timeout(25_000)


def _inspect_a_panel(page: Page) -> None:
    page.get_by_role("button", name="Menu of Load", exact=True).click()
    page.get_by_role("menuitem", name="Inspect data").click()


def main() -> None:
    """Signs in once, then uses one browser context per variant."""
    state_file, folder, beginning = [*sys.argv[1:], None, None, None][:3]
    state = json.loads(Path(state_file or ROOT / ".local" / "state.json").read_text())
    target = Path(folder or ROOT / "docs" / "img")
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_context(base_url=state["url"]).new_page()
        page.goto("/sign-in")
        page.get_by_label("Email").fill(state["email"])
        page.get_by_label("Password").fill(state["password"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name=re.compile("^This machine")).first.click()
        page.wait_for_url("**/dashboards/*")
        board = page.url.removeprefix(state["url"]).split("?")[0]
        signed_in_state = page.context.storage_state()
        _create_alerts(page)
        for variant, (theme, width, height) in VARIANTS.items():
            context = browser.new_context(
                base_url=state["url"],
                storage_state=signed_in_state,
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
            )
            context.add_init_script(f"localStorage.setItem('pulseboard-theme', '{theme}')")
            for name, (path, before) in pages(board).items():
                if not name.startswith(beginning or ""):
                    continue
                page = context.new_page()
                page.goto(path)
                # On a busy machine, wait for requests that are still pending.
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(1000)
                if before:
                    before(page)
                    page.wait_for_timeout(400)
                page.screenshot(path=target / f"{name}-{variant}.png")
                if (name, variant) == ("board", "light"):
                    page.screenshot(path=target / "dashboard.png")
                page.close()
            context.clear_cookies()
            page = context.new_page()
            page.goto("/sign-in")
            page.get_by_role("heading", name="Sign in").wait_for()
            page.screenshot(path=target / f"sign-in-{variant}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
