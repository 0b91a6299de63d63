"""`python -m infra.local`: what `make up` runs."""

import argparse
import os
import signal
import sys
from pathlib import Path

from infra.local.services import ServiceError
from infra.local.supervisor import ROOT, Supervisor


def interruptible() -> None:
    """Turn the first Ctrl-C or SIGTERM into KeyboardInterrupt, and ignore further ones."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    # Once: a second Ctrl-C must not interrupt the shutdown.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the local stack; the exit code is 0 after Ctrl-C and 1 when a part can't start."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".local", help="the folder for data")
    arguments = parser.parse_args()
    interruptible()
    os.umask(0o077)
    try:
        Supervisor(
            data=arguments.data.resolve(),
            port=int(os.environ.get("PORT") or 8080),
            database_port=int(os.environ.get("DB_PORT") or 54329),
            redis_port=int(os.environ.get("REDIS_PORT") or 36379),
        ).run()
    except KeyboardInterrupt:
        print("\nStopped.")
    except (ServiceError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
