"""Runs every benchmark, on the embedded services unless DATABASE_URL and REDIS_URL are set."""

import os
import tempfile
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from infra.local import services
from pulseboard.migrate import migrate


def main() -> None:
    """Start what is needed, run, stop."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulseboard-bench-")))
        database_url = os.environ.get("DATABASE_URL") or stack.enter_context(
            services.timescaledb(data=home / "timescaledb", log=home / "timescaledb.log")
        )
        redis_url = os.environ.get("REDIS_URL") or stack.enter_context(
            services.valkey(data=home / "valkey", log=home / "valkey.log")
        )
        os.environ["DATABASE_URL"] = database_url
        os.environ["REDIS_URL"] = redis_url
        migrate(database_url)
        for name in ("bench.ingest", "bench.query", "bench.alerts"):
            if find_spec(name):
                import_module(name).run(database_url, redis_url)


if __name__ == "__main__":
    main()
