"""Runs the benchmarks, on the embedded services unless DATABASE_URL and REDIS_URL are set.

python -m bench [--quick] [ingest|protocols|spill|query|alerts|storage|sizes|cold|year …]
python -m bench structure [--root CHECKOUT]     counts imports, needs no services
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from bench import structure
from infra.local import services
from pulseboard.db.migrate import migrate

BENCHMARKS = ("ingest", "protocols", "spill", "query", "alerts", "storage", "sizes", "cold", "year")


def main() -> None:
    """Start what is needed, run, stop."""
    if sys.argv[1:2] == ["structure"]:
        structure.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description="Measure Pulseboard.")
    parser.add_argument("--quick", action="store_true", help="little data, to try it out")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
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
        for name in options.names or BENCHMARKS:
            import_module(f"bench.{name}").run(database_url, redis_url, quick=options.quick)


if __name__ == "__main__":
    main()
