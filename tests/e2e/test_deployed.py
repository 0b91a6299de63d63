"""The CDK app itself, deployed to an AWS emulator by `make local`.

agent → API Gateway → ingest → TimescaleDB → query → CloudFront → Chromium, and
EventBridge → Step Functions → evaluate → notify → a receiver.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect

from infra import deploy
from infra.local import emulator, services, trial
from infra.local.deployed import Deployed
from layers import build
from tests.support.receiver import Received, receiving, wait

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"HOME": "home", "TMPDIR": "tmp"}
"""Where programs leave files: folders of the test, empty at the start and at the end."""
SYSTEM_TMP = Path("/tmp")
"""Where the emulator writes regardless of TMPDIR."""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`make local` in its own folder: its state.json, sign-in `link`, `ports` and `data`."""
    for needed in (deploy.CDK, deploy.DIST / "index.html", ROOT / "layers/build/local/deps.zip"):
        if not needed.exists():
            pytest.skip(f"{needed} is missing: make test makes it")
    base = tmp_path_factory.mktemp("deployed")
    there_before = set(SYSTEM_TMP.glob("ministack*"))
    environment = {**os.environ}
    for variable, folder in ELSEWHERE.items():
        (base / folder).mkdir()
        environment[variable] = str(base / folder)
    # A user with AWS credentials: the emulator must not use their accounts.
    environment["AWS_PROFILE"] = "somebody"
    (base / "data").mkdir()
    with trial.deployed(base / "data", environment) as up:
        yield {**up, "environment": environment, "there_before": there_before}


@pytest.fixture(scope="module")
def stack(state: dict[str, Any]) -> Deployed:
    """The same stack, to inspect and to deploy into."""
    return Deployed(data=state["data"], ports=state["ports"])


@pytest.fixture(scope="module")
def http(state: dict[str, Any]) -> Iterator[httpx.Client]:
    """The admin, through CloudFront; not every resolver knows `*.localhost`."""
    login = {"email": state["email"], "password": state["password"]}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{state['ports'].emulator}/api/v1",
        headers={"Host": urlsplit(state["url"]).netloc},
        trust_env=False,
        timeout=180,
    ) as client:
        # On a busy machine a function's first start can take longer than the function may.
        wait("signing in", lambda: client.post("/auth/login", json=login).is_success, 180)
        wait("the rules", lambda: client.get("/alerts/rules").is_success, 180)
        yield client


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, Received]]:
    with receiving() as created:
        yield created


@pytest.fixture(scope="module")
def rule(http: httpx.Client, receiver: tuple[str, Received]) -> dict[str, Any]:
    """A rule that fires at once on this machine."""
    body = {
        "name": "This machine runs",
        "query": "memory_used_percent",
        "condition": "gt",
        "threshold": 0,
        "duration": "0s",
        "window": "1m",
        "notification": {"channels": [{"type": "webhook", "url": receiver[0]}]},
    }
    created: dict[str, Any] = (
        http.post("/alerts/rules", json=body).raise_for_status().json()["data"]
    )
    return created


def test_live_data_comes_from_the_agent_to_a_board_in_chromium(
    state: dict[str, Any], rule: dict[str, Any], browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(state["link"])
    expect(page.get_by_role("heading", name="This machine")).to_be_visible(timeout=180_000)
    assert page.url.startswith(state["url"])
    legend = page.get_by_role("region", name="Load", exact=True).get_by_role("list", name="Legend")
    expect(legend.get_by_role("button").first).to_be_visible(timeout=180_000)
    page.reload()
    expect(page.get_by_role("heading", name="This machine")).to_be_visible(timeout=180_000)
    context.close()


def test_the_schedule_evaluates_and_notifies_a_receiver(
    http: httpx.Client, rule: dict[str, Any], receiver: tuple[str, Received]
) -> None:
    _, received = receiver

    def firing() -> list[dict[str, Any]]:
        found = http.get("/alerts/events", params={"status": "firing"}).raise_for_status().json()
        return [event for event in found["data"] if event["ruleId"] == rule["id"]]

    wait("firing", firing, 120)
    wait("the notification", lambda: received, 120)
    body = received[0][1]
    assert body["status"] == "firing"
    assert body["alerts"][0]["generatorURL"].endswith(f"/alerts/{rule['id']}")


def test_deploying_again_changes_nothing(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lead_to(stack, tmp_path, monkeypatch)
    before = _as_deployed(stack)
    assert len(before["functions"]) > 5
    assert any(before["aliases"].values())
    again = Deployed(data=tmp_path, ports=stack.ports)
    output = tmp_path / "output"
    with output.open("wb") as log:
        _synth(again, log)
        deploy.cdk(
            ["diff", "--all", "--app", str(again.assembly), "--fail", "--method", "template"],
            output=log,
        )
        assert "Number of stacks with differences: 0" in output.read_text()
        again.cdk("deploy", *deploy.FIRST_STACKS, log=log)
        applied = deploy.call_migrate(stack.session, stage=stack.stage, event={}, patience=0)
        again.cdk("deploy", *deploy.LATER_STACKS, log=log)
    assert applied["applied"] == []
    assert _as_deployed(stack) == before


def _as_deployed(stack: Deployed) -> dict[str, Any]:
    """Each resource of each stack, each function's version and code, and when they last changed."""
    formation, functions = (stack.session.client(name) for name in ("cloudformation", "lambda"))
    stacks = {
        one["StackName"]: one.get("LastUpdatedTime")
        for one in formation.describe_stacks()["Stacks"]
        if one["StackName"].startswith(f"Pulseboard-{stack.stage}-")
    }
    names = [
        one["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for one in page["Functions"]
        if one["FunctionName"].startswith(f"pulseboard-{stack.stage}-")
    ]
    return {
        "stacks": stacks,
        "resources": {
            name: formation.describe_stack_resources(StackName=name)["StackResources"]
            for name in stacks
        },
        "functions": {
            name: functions.get_function(FunctionName=name)["Configuration"] for name in names
        },
        "versions": {
            name: functions.list_versions_by_function(FunctionName=name)["Versions"]
            for name in names
        },
        "aliases": {name: functions.list_aliases(FunctionName=name)["Aliases"] for name in names},
    }


def test_an_emulator_without_http_api_cloudfront_and_layers_does_too(
    stack: Deployed, state: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variant for LocalStack: REST API, a proxy instead of CloudFront, packages in the code."""
    _lead_to(stack, tmp_path, monkeypatch)
    python, platform = build.this_machine()
    build.build(python=python, platform=platform, out=tmp_path, uv=build.find_uv(), bundled=True)
    rest = Deployed(
        data=tmp_path,
        ports=stack.ports,
        context=["api=rest", "bundled=true", f"layers={tmp_path}"],
        stage="rest",
        edge_port=services.free_port(),
    )
    (tmp_path / "logs").mkdir()
    try:
        with (tmp_path / "output").open("wb") as log:
            _synth(rest, log)
            rest.cdk("deploy", *deploy.FIRST_STACKS, "Api", "Frontend", log=log)
        deploy.publish(rest.session, stage="rest")
        assert rest.edge_port is not None
        rest.start_edge(rest.edge_port)
        _request_everything(f"http://127.0.0.1:{rest.edge_port}", state)
    finally:
        rest.stop()


def test_tearing_down_leaves_no_process_and_no_file_elsewhere(state: dict[str, Any]) -> None:
    """Runs last: it stops what the other tests use."""
    data: Path = state["data"]
    supervisor = psutil.Process(int((data / "lock").read_text()))
    parts = [supervisor, *supervisor.children(recursive=True)]
    assert len(parts) > 8
    trial.take_down(data, state["environment"])
    assert not [process for process in parts if _alive(process)]
    # Every process that it started uses its folder for temporary files.
    assert not [
        process
        for process in psutil.process_iter()
        if _alive(process) and _environment_of(process).get("TMPDIR") == str(data / "tmp")
    ]
    assert all(map(services.port_is_free, vars(state["ports"]).values()))
    for folder in ELSEWHERE.values():
        assert list((data.parent / folder).rglob("*")) == []
    assert set(SYSTEM_TMP.glob("ministack*")) <= state["there_before"]
    # A gigabyte of unpacked layers is gone; data, logs and templates stay.
    assert not (data / "tmp").exists()
    for secret in ("output", "state.json"):
        assert (data / secret).stat().st_mode & 0o077 == 0, secret


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _environment_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _request_everything(url: str, state: dict[str, Any]) -> None:
    with httpx.Client(trust_env=False, timeout=180) as client:
        api = f"{url}/api/v1"
        page = client.get(f"{url}/dashboards")
        assert "<title>Pulseboard</title>" in page.text
        assert page.headers["x-frame-options"] == "DENY"
        assert client.get(f"{api}/health").json()["data"]["status"] == "ok"
        login = {"email": state["email"], "password": state["password"]}
        client.post(f"{api}/auth/login", json=login).raise_for_status()
        point = {"name": "by_rest", "value": 1}
        key = {"Authorization": f"Bearer {state['api_key']}"}
        # On a busy machine the database may be slow for once, and what was accepted is spilled.
        for _ in range(12):
            sent = client.post(f"{api}/metrics", json=point, headers=key)
            assert sent.json()["data"]["accepted"] == 1, sent.text
            now = int(time.time() * 1000)
            query = {"query": "by_rest", "start": now - 300_000, "end": now + 10_000}
            response = client.post(f"{api}/query", json=query)
            assert response.status_code == 200, response.text
            if response.json()["data"]["series"]:
                break
            time.sleep(5)
        assert len(response.json()["data"]["series"]) == 1
        names = [board["name"] for board in client.get(f"{api}/dashboards").json()["data"]]
        assert "This machine" in names
        assert client.get(f"{api}/nothing-here").status_code in (403, 404)


def _lead_to(stack: Deployed, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    led = emulator.environment(stack.ports.emulator, scratch=scratch)
    for name, value in led.items():
        monkeypatch.setenv(name, value)
    for name in emulator.OTHERS:
        monkeypatch.delenv(name, raising=False)
    Path(os.environ["TMPDIR"]).mkdir(exist_ok=True)


def _synth(stack: Deployed, log: Any) -> None:
    assert stack.synth(log).wait() == 0, Path(log.name).read_text()
