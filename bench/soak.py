"""A soak: agents, boards and rules on the local stack, while its parts are killed and stopped.

python -m bench.soak [--minutes 10] [--seed 16]

Each part (database, cache, application, beats, agent) in turn is killed, ended, or stopped for some
seconds, again and again, each at least once. Then everything may recover, and what is stored is
counted: each acknowledged sample exactly once. Fails as well when a request gets a status that no
outage explains, a batch is set aside, a tick is missed, or a part's memory grows.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from infra.local import services

ROOT = Path(__file__).parents[1]
INTERVALS = (10, 15, 30, 60)
"""Seconds between the batches of an agent."""
AGENTS = 5
"""Agents of each interval."""
SERIES = 20
"""Series of each agent."""
PARTS = ("uvicorn", "timescaledb.mjs", "valkey", "beats", "pulseboard.agent")
OUTAGE = (408, 429, 503)
TICK = 10
CATCH_UP = 30
"""Ticks that are evaluated afterwards when they were missed: the default of the setting."""
RESTART = 120.0
"""Seconds within which a part must be back to be harmed."""
RECOVERY = 240.0
"""Seconds that everything may take to recover at the end."""
GROWTH = 100e6
"""Bytes by which a part may grow, beside half of what it had."""


@dataclass
class Outcome:
    """What happened, and what is wrong."""

    acknowledged: int = 0
    stored: int = 0
    distinct: int = 0
    wrong: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    harm: Counter[str] = field(default_factory=Counter)
    ticks: int = 0
    missed: int = 0
    lag: float = 0.0
    memory: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Bytes of each part: median of the second third, median of the last third, most."""
    recovered: float = 0.0

    def show(self) -> None:
        """Print it."""
        print(
            f"samples   {self.acknowledged:,} acknowledged, {self.stored:,} stored,"
            f" {self.distinct:,} distinct"
        )
        print("harm      " + _listed(self.harm))
        print("requests  " + _listed(self.requests))
        print(
            f"ticks     {self.ticks} evaluated, {self.missed} missed, {self.lag:.0f} s late at most"
        )
        for name, (before, after, most) in sorted(self.memory.items()):
            numbers = (f"{value / 1e6:.0f}" for value in (before, after, most))
            print("memory    {:18} {} → {} MB, {} at most".format(name, *numbers))
        print(f"recovery  {self.recovered:.0f} s")
        for each in self.wrong:
            print(f"WRONG     {each}")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted(counts.items()))


class Soak:
    """One soak on a stack that is up. `known` is its state file, `process` its supervisor."""

    def __init__(self, data: Path, process: subprocess.Popen[bytes], seed: int) -> None:
        self.data = data
        self.known: dict[str, str] = json.loads((data / "state.json").read_text())
        self.process = psutil.Process(process.pid)
        self.outcome = Outcome()
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[deque[dict[str, Any]]] = []
        self._sum = 0
        self._numbers = itertools.count(1)
        self._sizes: dict[str, list[int]] = defaultdict(list)
        self._last_tick = 0

    def run(self, minutes: float) -> Outcome:
        """Load and harm it for so long, let it recover, count."""
        self._make_rules()
        agents = [(interval, n) for interval in INTERVALS for n in range(AGENTS)]
        threads = [threading.Thread(target=self._agent, args=each) for each in agents]
        threads += [threading.Thread(target=self._board) for _ in range(2)]
        threads += [threading.Thread(target=each) for each in (self._watch_ticks, self._weigh)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + minutes * 60
        self._stop.wait(15)
        for number, part in enumerate(self._turns()):
            # The first round is whole, however short the time is.
            if time.monotonic() >= until and number >= len(PARTS):
                break
            self._harm(part)
            left = until - time.monotonic() if number >= len(PARTS) else math.inf
            self._stop.wait(min(max(left, 0), self._random.uniform(5, 15)))
        ended = time.monotonic()
        if not _within(RECOVERY, self._has_recovered):
            self._wrong(f"not recovered after {RECOVERY:.0f} s: {self._left()}")
        self.outcome.recovered = time.monotonic() - ended
        self._stop.set()
        for thread in threads:
            thread.join()
        self._count()
        self._compare_sizes()
        return self.outcome

    # What loads it

    def _make_rules(self) -> None:
        rules = [("soak_value", "gt", 0), ("sum(rate(soak_value[2m]))", "gt", 0), ("up", "lt", 1)]
        with self._signed_in() as http:
            for query, condition, threshold in rules:
                body = {"name": query, "query": query, "condition": condition}
                http.post("/alerts/rules", json={**body, "threshold": threshold}).raise_for_status()

    def _agent(self, interval: int, number: int) -> None:
        host = f"{interval}s-{number}"
        queue: deque[dict[str, Any]] = deque()
        self._waiting.append(queue)
        headers = {"Authorization": f"Bearer {self.known['api_key']}"}
        due = time.monotonic() + interval * number / AGENTS
        while not self._stop.is_set():
            if time.monotonic() >= due:
                due += interval
                queue.append(self._measure(host))
            if queue and self._sent(queue[0], headers):
                queue.popleft()
                continue
            self._stop.wait(1)

    def _measure(self, host: str) -> dict[str, Any]:
        now = int(time.time() * 1000)
        points = [
            {
                "name": "soak_value",
                "value": next(self._numbers),
                "timestamp": now,
                "tags": {"host": host, "number": str(number)},
            }
            for number in range(SERIES)
        ]
        return {"points": points}

    def _sent(self, batch: dict[str, Any], headers: dict[str, str]) -> bool:
        response = self._request("agent", "POST", "/metrics", json=batch, headers=headers)
        if response is None:
            return False
        accepted = response.json()["data"]["accepted"]
        if accepted != SERIES:
            self._wrong(f"{accepted} of {SERIES} samples accepted")
        with self._lock:
            self.outcome.acknowledged += accepted
            self._sum += sum(point["value"] for point in batch["points"])
        return True

    def _request(self, who: str, method: str, path: str, **more: Any) -> httpx.Response | None:
        """A successful response; None when an outage explains that there is none."""
        client = more.pop("client", httpx)
        try:
            url = path if client is not httpx else f"{self.known['url']}/api/v1{path}"
            extra = {} if client is not httpx else {"trust_env": False}
            response = client.request(method, url, timeout=30, **extra, **more)
        except httpx.HTTPError as error:
            self._note(f"{who} {type(error).__name__}")
            return None
        self._note(f"{who} {response.status_code}")
        if response.status_code < 300:
            return response  # type: ignore[no-any-return]
        # The cache forgets the sessions when it is killed.
        expected = (*OUTAGE, 401) if who == "board" else OUTAGE
        if response.status_code not in expected:
            self._wrong(f"{method} {path}: {response.status_code} {response.text[:300]}")
        return None

    def _board(self) -> None:
        while not self._stop.is_set():
            try:
                with self._signed_in() as http:
                    while not self._stop.is_set() and self._refresh(http):
                        self._stop.wait(5)
            except httpx.HTTPError as error:
                self._note(f"sign-in {type(error).__name__}")
            self._stop.wait(3)

    def _refresh(self, http: httpx.Client) -> bool:
        now = int(time.time() * 1000)
        queries = ["soak_value", "sum by (host) (rate(soak_value[2m]))", "count(soak_value)", "up"]
        body = {
            "start": now - 900_000,
            "end": now,
            "queries": [{"id": str(n), "query": query} for n, query in enumerate(queries)],
        }
        boards = self._request("board", "GET", "/dashboards", client=http)
        batch = self._request("board", "POST", "/query/batch", client=http, json=body)
        for result in batch.json()["data"] if batch else ():
            error = result["error"]
            if error is not None and error["code"] != "UNAVAILABLE":
                self._wrong(f"query {result['id']}: {error}")
        return boards is not None and batch is not None

    @contextmanager
    def _signed_in(self) -> Iterator[httpx.Client]:
        login = {name: self.known[name] for name in ("email", "password")}
        url = self.known["url"] + "/api/v1"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
            http.post("/auth/login", json=login).raise_for_status()
            yield http

    # What harms it

    def _turns(self) -> Iterator[str]:
        """All parts in one order, then all in another, and so on."""
        while True:
            yield from self._random.sample(PARTS, len(PARTS))

    def _harm(self, part: str) -> None:
        how = self._random.choice(("killed", "ended", "stopped"))
        seconds = self._random.uniform(2, 12)
        if not _within(RESTART, lambda: part in self._children()):
            self._wrong(f"{part} is not back after {RESTART:.0f} s")
            return
        with contextlib.suppress(psutil.NoSuchProcess, KeyError):
            child = self._children()[part]
            if how == "killed":
                child.kill()
            elif how == "ended":
                child.terminate()
            else:
                child.suspend()
                self._stop.wait(seconds)
                child.resume()
            self.outcome.harm[f"{part} {how}"] += 1

    def _children(self) -> dict[str, psutil.Process]:
        found = {}
        for child in self.process.children():
            with contextlib.suppress(psutil.Error):
                command = " ".join(child.cmdline())
                name = next((name for name in PARTS if name in command), None)
                if name and child.status() != psutil.STATUS_ZOMBIE:
                    found[name] = child
        return found

    # What is measured

    def _watch_ticks(self) -> None:
        first = 0
        while not self._stop.wait(1):
            with contextlib.suppress(psycopg.Error):
                tick = self._one("select tick from alert_ticks where tick >= 0")
                if not tick:
                    continue
                number = int(tick[0])
                first = first or number
                previous = self._last_tick or number
                # Those that are caught up with are late, not missed.
                self.outcome.missed += max(0, number - previous - CATCH_UP)
                self._last_tick = number
                self.outcome.ticks = number - first + 1
                self.outcome.lag = max(self.outcome.lag, time.time() - (number + 1) * TICK)

    def _weigh(self) -> None:
        while not self._stop.wait(2):
            sizes = {"supervisor": self.process, **self._children()}
            for name, child in sizes.items():
                with contextlib.suppress(psutil.Error):
                    self._sizes[name].append(child.memory_info().rss)

    def _compare_sizes(self) -> None:
        for name, sizes in self._sizes.items():
            third = len(sizes) // 3
            before, after = (
                statistics.median(part) for part in (sizes[third : 2 * third], sizes[2 * third :])
            )
            self.outcome.memory[name] = (before, after, max(sizes))
            if after > before * 1.5 + GROWTH:
                self._wrong(f"{name} grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB")

    def _has_recovered(self) -> bool:
        current = time.time() - (self._last_tick + 1) * TICK < 2 * TICK
        return current and not self._left()

    def _left(self) -> dict[str, int]:
        spilled = len(list((self.data / "spill" / "waiting").glob("*.pbspill")))
        left = {"unsent": sum(map(len, self._waiting)), "spilled": spilled}
        return {name: count for name, count in left.items() if count}

    def _count(self) -> None:
        outcome = self.outcome
        row = self._one(
            """
            select count(*), count(distinct (r.series_id, r.time)), sum(r.value)
            from metrics_raw r
            join metric_series s on s.id = r.series_id
            join metric_definitions d on d.id = s.metric_id where d.name = 'soak_value'
            """
        )
        assert row is not None
        outcome.stored, outcome.distinct = row[0], row[1]
        if not outcome.acknowledged == outcome.stored == outcome.distinct or row[2] != self._sum:
            self._wrong(f"samples are lost or doubled: their sum is {row[2]}, not {self._sum}")
        if dead := list((self.data / "spill" / "dead").glob("*")):
            self._wrong(f"{len(dead)} files are set aside")
        if outcome.missed:
            self._wrong(f"{outcome.missed} ticks are missed")

    def _one(self, query: str) -> tuple[Any, ...] | None:
        url = self.known["database_url"]
        with psycopg.connect(
            url, autocommit=True, connect_timeout=5, prepare_threshold=None
        ) as connection:
            return connection.execute(query.encode()).fetchone()

    def _note(self, what: str) -> None:
        with self._lock:
            self.outcome.requests[what] += 1

    def _wrong(self, what: str) -> None:
        with self._lock:
            self.outcome.wrong.append(what)


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(1)
    return True


@contextmanager
def _stack(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {
        "PORT": str(services.free_port()),
        "DB_PORT": str(services.free_port()),
        "REDIS_PORT": str(services.free_port(highest=services.HIGHEST_REDIS_PORT)),
    }
    output = data.with_suffix(".out")
    command = [sys.executable, "-m", "infra.local", "--data", str(data)]
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        if not _within(120, lambda: "Pulseboard is up" in output.read_text()):
            raise SystemExit(output.read_text())
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def soak(minutes: float, *, seed: int) -> Outcome:
    """Start a stack of its own, run, stop it."""
    with tempfile.TemporaryDirectory(prefix="pulseboard-soak-") as home:
        data = Path(home) / "local"
        with _stack(data) as process:
            return Soak(data, process, seed).run(minutes)


def main() -> int:
    """0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed      {options.seed}", flush=True)
    outcome = soak(options.minutes, seed=options.seed)
    outcome.show()
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
