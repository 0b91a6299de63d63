"""Prometheus with its Alertmanager, and Pulseboard, on the same samples and the same rule file.

Prometheus scrapes one target, evaluates the rules, and sends what it scraped to Pulseboard by
remote write; `pulseboard rules apply` brings the file. Both notify a webhook. After each phase of
the target both receivers believe the same, and in the end they got the same firings and
resolutions, in the same order.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.notify import handler as notify
from infra.local import services
from infra.local.services import Child
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.base import iso_utc
from pulseboard.core.lookback import LOOKBACK_DELTA
from pulseboard.core.settings import settings
from tests.support.receiver import Received, receiving
from tests.support.server import serving, wait_until

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
# Debian's name, and that of the project.
ALERTMANAGERS = ("prometheus-alertmanager", "alertmanager")

# The lengths are of seconds: Pulseboard evaluates every ten, Prometheus here every one.
RULES = """
groups:
- name: hosts
  rules:
  - alert: Hot
    expr: temp > 30
    labels: {severity: critical, team: "{{ $labels.zone }}"}
    annotations:
      summary: "{{ $labels.host }} has {{ $value | humanize }} of {{ printf \\"%.1f\\" 30.0 }}"
  - alert: HotLong
    expr: temp{host="b"} > 30
    for: 5s
    labels: {severity: warning}
  - alert: DiskFull
    expr: free < 5
    labels: {severity: critical}
  - alert: ZoneLoad
    expr: sum by (zone) (load) >= 10
    labels: {severity: warning}
  - alert: AlmostFull
    expr: used / size * 100 > 90
    labels: {severity: info}
  - alert: Mode
    expr: mode != 1
    labels: {severity: info}
  - alert: Errors
    expr: rate(errors_total[15s]) > 1
    labels: {severity: critical}
  - alert: Spike
    expr: max_over_time(spike[5s]) > 5
    labels: {severity: warning}
- name: jobs
  rules:
  - alert: QueueLong
    expr: queue{queue=~"mail|news"} > 100
    labels: {severity: warning}
  - alert: Backlog
    expr: backlog > 1
    for: 1h
    labels: {severity: warning}
  - alert: Keeps
    expr: keeps > 1
    keep_firing_for: 1h
    labels: {severity: info}
  - alert: Silent
    expr: absent(heartbeat) == 1
    labels: {severity: critical}
"""

CALM = {
    'temp{host="a",zone="east"}': 20.0,
    'temp{host="b",zone="east"}': 20.0,
    'temp{host="c",zone="west"}': 20.0,
    'free{host="a",disk="x"}': 50.0,
    'load{host="a",zone="east"}': 2.0,
    'load{host="b",zone="east"}': 3.0,
    'load{host="c",zone="west"}': 1.0,
    'used{host="a"}': 10.0,
    'size{host="a"}': 100.0,
    "mode": 1.0,
    "spike": 1.0,
    'queue{queue="mail"}': 5.0,
    'queue{queue="chat"}': 500.0,
    "backlog": 0.0,
    "keeps": 0.0,
    "heartbeat": 1.0,
}
"""What the target exposes, beside a counter of errors."""


@dataclass
class Target:
    """A target that is scraped. `errors` is by how much its counter grows with each scrape."""

    values: dict[str, float] = field(default_factory=lambda: dict(CALM))
    errors: float = 0.0
    total: float = 1000.0

    def change(self, *without: str, errors: float = 0.0, **values: float) -> None:
        """Expose what is calm but for these values, and without these series. A value is given by
        the name of its metric and, where it has some, the first label: `temp_a`."""
        exposed = {series: value for series, value in CALM.items() if series not in without}
        for name, value in values.items():
            metric, _, label = name.partition("_")
            (series,) = (
                one
                for one in CALM
                if one == name or (one.startswith(f"{metric}{{") and f'="{label}"' in one)
            )
            exposed[series] = value
        self.errors = errors
        self.values = exposed

    def scrape(self) -> str:
        self.total += self.errors
        lines = [f"{series} {value}" for series, value in self.values.items()]
        return "\n".join([*lines, f'errors_total{{host="a"}} {self.total}']) + "\n"

    @contextmanager
    def served(self) -> Iterator[int]:
        """The port at which it is scraped."""
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(target.scrape().encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


Labels = frozenset[tuple[str, str]]


def states_of(received: Received) -> dict[Labels, list[str]]:
    """Of each alert, the states that a receiver was sent, in their order; repetitions left out."""
    states: dict[Labels, list[str]] = {}
    for _, body in list(received):
        for alert in body["alerts"]:
            known = states.setdefault(frozenset(alert["labels"].items()), [])
            if known[-1:] != [alert["status"]]:
                known.append(alert["status"])
    return states


def believed(received: Received) -> set[str]:
    """The alerts that a receiver believes to be firing, by their name and what tells them apart."""
    firing = [
        dict(labels) for labels, states in states_of(received).items() if states[-1] == "firing"
    ]
    return {
        " ".join([one["alertname"], *(one[key] for key in ("host", "zone", "queue") if key in one)])
        for one in firing
    }


def summaries(received: Received) -> dict[str, str]:
    """By host, what the first notification of `Hot` said."""
    found: dict[str, str] = {}
    for _, body in received:
        for alert in body["alerts"]:
            if alert["labels"]["alertname"] == "Hot" and alert["status"] == "firing":
                found.setdefault(alert["labels"]["host"], alert["annotations"]["summary"])
    return found


@dataclass
class Both:
    """Prometheus with Alertmanager, and Pulseboard, and what the receiver of each got."""

    target: Target
    alertmanager: httpx.Client
    pulseboard: TestClient
    theirs: Received
    ours: Received

    def tick(self) -> None:
        """A tick if one is due, and its notifications, as on AWS."""
        claimed = evaluate.handler({}, None)
        assert "error" not in claimed, claimed
        if claimed["claims"]:
            evaluate.handler(notify.handler(claimed, None), None)

    def until_both_believe(self, *names: str) -> None:
        expected = set(names)

        def agree() -> bool:
            self.tick()
            return bool(believed(self.theirs) == expected and believed(self.ours) == expected)

        try:
            wait_until(agree, timeout=120)
        except TimeoutError:
            shown = {"Alertmanager": believed(self.theirs), "Pulseboard": believed(self.ours)}
            assert shown == dict.fromkeys(shown, expected), "the receivers believe something else"

    def until_both_know(self, rule: str, host: str) -> None:
        """Until an alert fires that is silenced in both."""

        def know() -> bool:
            self.tick()
            alerts = self.alertmanager.get("/api/v2/alerts", params={"active": "false"}).json()
            events = self.pulseboard.get(f"{API}/events", params={"status": "firing"}).json()
            labels = [
                *(one["labels"] for one in alerts if one["status"]["state"] == "suppressed"),
                *(one["labels"] for one in events["data"]),
            ]
            wanted = {"alertname": rule, "host": host}
            return bool(sum(wanted.items() <= one.items() for one in labels) == 2)

        wait_until(know, timeout=120)

    @contextmanager
    def silence(self, **labels: str) -> Iterator[None]:
        """A silence in both, which ends with the block."""
        end = datetime.now(UTC) + timedelta(hours=1)
        matchers = [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in labels.items()
        ]
        times = {"startsAt": iso_utc(datetime.now(UTC)), "endsAt": iso_utc(end)}
        body = {"matchers": matchers, **times, "createdBy": "tests", "comment": "a test"}
        theirs = self.alertmanager.post("/api/v2/silences", json=body)
        assert theirs.status_code == 200, theirs.text
        matchers = [{"label": name, "value": value} for name, value in labels.items()]
        ours = self.pulseboard.post(
            f"{API}/silences", json={"matchers": matchers, "endsAt": iso_utc(end)}
        )
        assert ours.status_code == 201, ours.text
        yield
        theirs = self.alertmanager.delete(f"/api/v2/silence/{theirs.json()['silenceID']}")
        assert theirs.status_code == 200, theirs.text
        ours = self.pulseboard.delete(f"{API}/silences/{ours.json()['data']['id']}")
        assert ours.status_code == 200, ours.text


def _run(stack: ExitStack, command: list[str], log: Path) -> None:
    child = Child(Path(command[0]).name, command, log)
    child.start()
    stack.callback(child.stop)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _client(stack: ExitStack, port: int) -> httpx.Client:
    return stack.enter_context(
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)
    )


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[tuple[int, httpx.Client, Received]]:
    """The port of an Alertmanager, a client of it, and what its receiver gets."""
    binary = next(filter(None, map(shutil.which, ALERTMANAGERS)), None)
    if binary is None or shutil.which("prometheus") is None:
        pytest.skip(
            "prometheus and its Alertmanager are not both installed"
            " (Debian: apt install prometheus prometheus-alertmanager)"
        )
    with ExitStack() as stack:
        url, received = stack.enter_context(receiving())
        file = tmp_path / "alertmanager.yml"
        file.write_text(
            "route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
            f"receivers:\n- name: hook\n  webhook_configs: [{{url: '{url}'}}]\n"
        )
        port = services.free_port()
        command = [
            *(binary, f"--config.file={file}", f"--storage.path={tmp_path}/alertmanager"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="),
            "--log.level=warn",
        ]
        _run(stack, command, tmp_path / "alertmanager.log")
        client = _client(stack, port)
        wait_until(lambda: _is_ready(client))
        yield port, client, received


@pytest.fixture
def both(
    alertmanager: tuple[int, httpx.Client, Received],
    admin: TestClient,
    ingest_key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Both]:
    """Both, with the rules, once the first samples have arrived in both."""
    for name, value in (
        ("PULSEBOARD_ALERT_GROUP_WAIT", "0"),
        ("PULSEBOARD_ALERT_GROUP_INTERVAL", "0"),
        ("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true"),
        ("POWERTOOLS_METRICS_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    manager_port, manager, theirs = alertmanager
    # Pulseboard has run for longer than its look-back: from here on missing data says something.
    began = time.time() - LOOKBACK_DELTA - 6 * TICK
    while began < time.time():
        assert tick.run(now=began).error is None
        began += TICK
    target = Target()
    rules = tmp_path / "rules.yml"
    with ExitStack() as stack:
        target_port = stack.enter_context(target.served())
        address = stack.enter_context(serving())
        url, ours = stack.enter_context(receiving())
        (tmp_path / "key").write_text(ingest_key)
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 1s}\n"
            f"rule_files: ['{rules}']\n"
            "scrape_configs:\n- job_name: shop\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]\n"
            "alerting:\n  alertmanagers:\n"
            f"  - static_configs: [{{targets: ['127.0.0.1:{manager_port}']}}]\n"
            "remote_write:\n"
            f"- url: {address}/api/v1/write\n"
            f"  authorization: {{credentials_file: {tmp_path}/key}}\n"
            "  queue_config: {batch_send_deadline: 1s, max_shards: 1}\n"
        )
        port = services.free_port()
        command = [
            *("prometheus", f"--config.file={tmp_path}/prometheus.yml"),
            *(f"--storage.tsdb.path={tmp_path}/prometheus", "--web.enable-lifecycle"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
        ]
        _run(stack, command, tmp_path / "prometheus.log")
        prometheus = _client(stack, port)
        wait_until(lambda: _is_ready(prometheus))
        created = Both(target, manager, admin, theirs, ours)
        # The rules come when there is something to read: `absent` would fire before.
        wait_until(lambda: _arrived(admin))
        # The rules' first tick is one after these samples.
        assert tick.run().error is None
        rules.write_text(RULES)
        assert prometheus.post("/-/reload").status_code == 200
        command = [sys.executable, "-m", "pulseboard.agent.cli", "rules", "apply", str(rules)]
        done = subprocess.run(
            [*command, "--url", address, "--key", ingest_key],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        listed = admin.get(f"{API}/rules", params={"pageSize": 100}).json()["data"]
        assert len(listed) == RULES.count("alert:")
        for one in listed:
            channels = {"channels": [{"type": "webhook", "url": url}]}
            changed = admin.put(f"{API}/rules/{one['id']}", json={"notification": channels})
            assert changed.status_code == 200, changed.text
        yield created
    settings.cache_clear()


def _arrived(http: TestClient) -> bool:
    """Whether Pulseboard has the target's newest series."""
    now = int(time.time() * 1000)
    body = {"query": "heartbeat", "start": now - 60_000, "end": now, "step": "10s"}
    return bool(http.post("/api/v1/query", json=body).json()["data"]["series"])


def test_both_tell_the_same_firings_and_resolutions(both: Both) -> None:
    target = both.target
    target.change(
        errors=20.0,
        **{"temp_a": 40, "temp_b": 41.5, "free_a": 1, "load_a": 9, "used_a": 95},
        **{"mode": 2, "spike": 9, "queue_mail": 150, "backlog": 5, "keeps": 5},
    )
    both.until_both_believe(
        *("Hot a east", "Hot b east", "HotLong b east", "DiskFull a", "ZoneLoad east"),
        *("AlmostFull a", "Mode", "Errors a", "Spike", "QueueLong mail", "Keeps"),
    )
    # Some recover, a series and a metric are gone; what waits for an hour never fired.
    target.change(*('free{host="a",disk="x"}', "heartbeat"), temp_b=41.5, used_a=95, queue_mail=150)
    both.until_both_believe(
        *("Hot b east", "HotLong b east", "AlmostFull a", "QueueLong mail", "Keeps", "Silent")
    )
    with both.silence(alertname="Hot", host="c"):
        target.change(temp_a=40, temp_b=41.5, temp_c=1e6, free_a=1, mode=0)
        both.until_both_know("Hot", "c")
        both.until_both_believe(
            *("Hot a east", "Hot b east", "HotLong b east", "DiskFull a", "Mode", "Keeps")
        )
    # What still fires when the silence ends is notified then.
    target.change(temp_c=1e6)
    both.until_both_believe("Hot c west", "Keeps")
    assert states_of(both.ours) == states_of(both.theirs)
    assert "Backlog" not in str(states_of(both.ours))
    assert summaries(both.ours) == summaries(both.theirs)
    assert summaries(both.ours)["c"] == "c has 1M of 30.0"
