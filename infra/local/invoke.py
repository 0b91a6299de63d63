"""`make invoke FUNCTION=query`: a function under Amazon's runtime client, on the local database.

It gets `events/FUNCTION.json`. `pb_example` in it stands for the key that `make up` or
`make local` has created.
"""

import argparse
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local import runtime_api, state
from infra.local.runtime_api import FunctionError

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
EXAMPLE_KEY = "pb_example"


def functions() -> list[str]:
    """Those that have an event and a handler."""
    return sorted(
        file.stem
        for file in EVENTS.glob("*.json")
        if (ROOT / "functions" / file.stem / "handler.py").is_file()
    )


def event(name: str, *, key: str) -> Any:
    """The sample event of a function, with a key that is known."""
    text = (EVENTS / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text.replace(EXAMPLE_KEY, key or EXAMPLE_KEY))


def invoke(name: str, *, environment: Mapping[str, str], key: str) -> Any:
    """What the function returns for its event. Raises FunctionError."""
    path = [ROOT / "shared" / "src"]
    with runtime_api.running(name, path=path, environment=environment) as function:
        return function.invoke(event(name, key=key))


def running(local: Path) -> state.StackState:
    """What `make up` has started, or `make local`: the one whose database listens, else the first
    that there was. Raises ServiceError.
    """
    files = (local / "state.json", local / "deployed" / "state.json")
    known = [found for file in files if (found := state.load(file)).database_url]
    for each in known:
        if _listens(each.database_url):
            return each
    return known[0] if known else state.StackState()


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432), 1):
            return True
    except OSError:
        return False


def main() -> int:
    """1 when the function failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.invoke", description=__doc__)
    parser.add_argument("function", choices=functions())
    name = parser.parse_args().function
    known = running(ROOT / ".local")
    database = os.environ.get("DATABASE_URL") or known.database_url
    if not database:
        print("There is no local database: `make up` or `make local` starts one; or set "
              "DATABASE_URL.", file=sys.stderr)  # fmt: skip
        return 1
    environment = {
        "DATABASE_URL": database,
        "REDIS_URL": os.environ.get("REDIS_URL") or known.redis_url,
        "PULSEBOARD_ALERT_ALLOW_PRIVATE": "true",
        "PULSEBOARD_COOKIE_SECURE": "false",
        "PULSEBOARD_SPILL_DIR": str(ROOT / ".local" / "spill"),
    }
    try:
        result = invoke(name, environment=environment, key=known.api_key)
    except FunctionError as error:
        print(f"{name} failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
