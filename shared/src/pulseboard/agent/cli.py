"""`pulseboard`: the host agent and the commands that go with it."""

import json
import logging
import socket
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from pulseboard.agent import host, query_command, relay, rules, run
from pulseboard.agent.queue import Queue, QueueBusy, default_directory
from pulseboard.agent.sender import Sender
from pulseboard.contracts.points import MetricPoint
from pulseboard.contracts.vocabulary import PointTags

app = typer.Typer(
    help="Pulseboard from the command line.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would print the key.
    pretty_exceptions_show_locals=False,
)


app.add_typer(rules.app, name="rules")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("pulseboard"))
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Pulseboard from the command line."""


@app.command()
def agent(
    url: Annotated[
        str, typer.Option(envvar="PULSEBOARD_URL", help="Address of Pulseboard.")
    ] = "http://localhost:8080",
    key: Annotated[
        str,
        typer.Option(
            envvar="PULSEBOARD_API_KEY",
            show_envvar=True,
            help="API key with the ingest scope; the variable keeps it out of `ps`.",
        ),
    ] = "",
    interval: Annotated[float, typer.Option(min=1, max=3600, help="Seconds between samples.")] = 10,
    host_name: Annotated[
        str, typer.Option("--host", help="Value of the host tag; default: this machine's name.")
    ] = "",
    tag: Annotated[list[str] | None, typer.Option(help="key=value on each point; repeat.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Send one sample, then exit.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent; needs no key.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with --dry-run.")] = False,
    queue_dir: Annotated[Path | None, typer.Option(help="Directory of unsent samples.")] = None,
    queue_max_mb: Annotated[int, typer.Option(min=1, help="Limit of the queue.")] = 64,
    relay_at: Annotated[
        str,
        typer.Option(
            "--relay", help="Gather for other agents at this address, such as 0.0.0.0:9480."
        ),
    ] = "",
    relay_token: Annotated[
        str,
        typer.Option(
            envvar="PULSEBOARD_RELAY_TOKEN",
            help="What agents send to the relay as their key, 16 characters at least.",
        ),
    ] = "",
    relay_certificate: Annotated[
        Path | None, typer.Option(help="PEM of the relay's certificate, for HTTPS.")
    ] = None,
    relay_certificate_key: Annotated[Path | None, typer.Option(help="PEM of its key.")] = None,
) -> None:
    """Measure this machine and send it to Pulseboard; with --relay, other agents' samples too."""
    tags = _tags(host_name or socket.gethostname(), tag or [])
    if dry_run:
        before = host.read()
        time.sleep(1)
        _show(host.collect(before, tags=tags)[0], as_json=as_json)
        return
    if not key:
        _fail("no API key: set PULSEBOARD_API_KEY (make one under API keys in Pulseboard)")
    if not url.startswith(("http://", "https://")):
        _fail("--url must begin with http:// or https://")
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("pulseboard.agent").setLevel(logging.INFO)
    try:
        queue = Queue(queue_dir or default_directory(), max_bytes=queue_max_mb * 1024 * 1024)
    except (QueueBusy, OSError) as error:
        _fail(str(error))
    server = None
    if relay_at:
        certificate = (relay_certificate, relay_certificate_key)
        try:
            server = _relay_server(queue, relay_at, token=relay_token, certificate=certificate)
        except (QueueBusy, OSError, ValueError) as error:
            queue.close()
            _fail(str(error))
    with Sender(url, key) as sender:
        try:
            if not once:
                run.forever(queue, sender, interval=interval, tags=tags, server=server)
            elif not run.once(queue, sender, tags=tags):
                raise typer.Exit(1)
        finally:
            queue.close()


def _relay_server(
    queue: Queue, listen: str, *, token: str, certificate: tuple[Path | None, Path | None]
) -> relay.RelayServer:
    """Raises QueueBusy, OSError, ValueError."""
    where = relay.address(listen)
    if len(token) < 16:
        raise ValueError(
            "set PULSEBOARD_RELAY_TOKEN to what agents send as their key, 16 characters at least, "
            "for example of `openssl rand -hex 16`"
        )
    file, key = certificate
    if bool(file) != bool(key):
        raise ValueError("--relay-certificate and --relay-certificate-key belong together")
    gathered = relay.Relay(queue, token=token)
    try:
        return relay.RelayServer(gathered, where, certificate=(file, key) if file and key else None)
    except OSError as error:
        gathered.close()
        raise OSError(f"--relay {listen}: {error}") from error


@app.command()
def query(
    text: Annotated[str, typer.Argument(help="A metric or an expression, in quotes.")],
    last: Annotated[str, typer.Option(help="How far back: 15m, 1h, 7d.")] = "1h",
    step: Annotated[str, typer.Option(help="Between two points; default: automatic.")] = "",
    url: Annotated[
        str, typer.Option(envvar="PULSEBOARD_URL", help="Default: what `make up` started here.")
    ] = "",
    key: Annotated[
        str, typer.Option(envvar="PULSEBOARD_API_KEY", help="API key with the read scope.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, one column per series.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say what was read, what SQL computed, and the times."),
    ] = False,
) -> None:
    """Run a query and draw the result."""
    local = query_command.local_server(Path(".local/state.json"))
    key = key or local.get("api_key", "")
    url = url or local.get("url", "http://localhost:8080")
    if not key:
        _fail("no API key: set PULSEBOARD_API_KEY (make one under API keys in Pulseboard)")
    if not url.startswith(("http://", "https://")):
        _fail("--url must begin with http:// or https://")
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            result = query_command.run_query(
                client,
                text,
                last=query_command.seconds(last),
                step=query_command.seconds(step) if step else None,
                now=datetime.now(UTC),
                points=500 if as_json or as_csv else 120,
                explain=explain,
            )
    except (query_command.QueryCommandError, httpx.InvalidURL) as error:
        _fail(str(error))
    if as_json:
        typer.echo(result.model_dump_json(by_alias=True, indent=2))
    elif as_csv:
        typer.echo(query_command.as_csv(result), nl=False)
    else:
        query_command.show(Console(), result)
        if result.meta.explain is not None:
            query_command.show_explain(Console(), result.meta.explain)


@app.command()
def migrate(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="PostgreSQL URL.")],
) -> None:
    """Bring the database to this version's schema."""
    try:
        import psycopg

        from pulseboard.db.migrate import MigrationError
        from pulseboard.db.migrate import migrate as apply
    except ImportError:
        _fail("this needs the server part: pip install 'pulseboard[server]'")
    try:
        applied = apply(database_url)
    except MigrationError as error:
        _fail(str(error))
    except psycopg.OperationalError as error:
        _fail(f"can't reach the database: {str(error).strip()}")
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("the database is up to date")


DatabaseUrl = Annotated[
    str, typer.Option("--database-url", envvar="DATABASE_URL", help="PostgreSQL URL.")
]


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")], database_url: DatabaseUrl
) -> None:
    """Write the whole database into one file."""
    _move("backup", file, database_url)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `pulseboard backup` wrote.")],
    database_url: DatabaseUrl,
) -> None:
    """Fill an empty database from a file; brings it to this version's schema first."""
    _move("restore", file, database_url)


@app.command()
def move(
    source: Annotated[
        str, typer.Option("--from", envvar="SOURCE_URL", help="PostgreSQL URL of today's database.")
    ],
    target: Annotated[
        str, typer.Option("--to", envvar="TARGET_URL", help="PostgreSQL URL of an empty one.")
    ],
) -> None:
    """Close a database to writers and copy all of it into another, while agents go on sending."""
    try:
        import psycopg

        from pulseboard.db import move as moving
        from pulseboard.db.backup import BackupError
        from pulseboard.db.migrate import MigrationError
    except ImportError:
        _fail("this needs the server part: pip install 'pulseboard[server]'")
    try:
        done = moving.move(source, target)
    except (BackupError, MigrationError) as error:
        _fail(f"{error}. The database before takes writes as it did.")
    except psycopg.Error as error:
        _fail(f"a database refused: {str(error).strip()}. The one before takes writes as it did.")
    for table, count in sorted(done.rows.items()):
        if count:
            typer.echo(f"{table}: {count:,}")
    typer.echo("moved: lead the functions to it now; the database before is read-only")


@app.command()
def reopen(database_url: DatabaseUrl) -> None:
    """Let a database that `pulseboard move` has closed take writes again."""
    try:
        import psycopg

        from pulseboard.db import move as moving
    except ImportError:
        _fail("this needs the server part: pip install 'pulseboard[server]'")
    try:
        moving.reopen(database_url)
    except psycopg.Error as error:
        _fail(f"the database refused: {str(error).strip()}")
    typer.echo("the database takes writes again")


def _move(direction: str, file: Path, database_url: str) -> None:
    try:
        import psycopg

        from pulseboard.db import backup as stored
        from pulseboard.db.migrate import MigrationError
        from pulseboard.db.migrate import migrate as apply
    except ImportError:
        _fail("this needs the server part: pip install 'pulseboard[server]'")
    try:
        if direction == "restore":
            apply(database_url)
            done = stored.restore(database_url, file)
        else:
            done = stored.backup(database_url, file)
    except (stored.BackupError, MigrationError) as error:
        _fail(str(error))
    except psycopg.Error as error:
        _fail(f"the database refused: {str(error).strip()}")
    for table, count in sorted(done.rows.items()):
        if count:
            typer.echo(f"{table}: {count:,}")
    typer.echo(f"{direction}: {file}, {done.size / 1e6:,.1f} MB")


@app.command("reset-admin")
def reset_admin(
    database_url: Annotated[
        str,
        typer.Option(
            "--database-url",
            envvar="DATABASE_URL",
            help="PostgreSQL URL; default: the embedded database that `make up` runs.",
        ),
    ] = "",
    email: Annotated[
        str, typer.Option(help="Whose password; default: the oldest active admin.")
    ] = "",
) -> None:
    """Give an admin a new password, print it, and end all of their sessions."""
    try:
        import psycopg

        from pulseboard.auth import reset_admin as reset
        from pulseboard.core.settings import settings
    except ImportError:
        _fail("this needs the server part: pip install 'pulseboard[server]'")
    database_url = database_url or settings().database_url.get_secret_value()
    try:
        with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
            changed = reset.reset(connection, email=email or None)
    except reset.NoSuchAdmin as error:
        _fail(str(error))
    except psycopg.errors.UndefinedTable:
        _fail("this database has no schema of Pulseboard yet: run `pulseboard migrate` first")
    except psycopg.Error as error:
        _fail(f"the database refused: {str(error).strip()}")
    typer.echo(f"email:    {changed.email}")
    typer.echo(f"password: {changed.password}")
    if not changed.sessions_ended:
        _fail("the password is changed, but the cache is unreachable: old sessions were not ended")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(metadata.version("pulseboard"))


def _tags(name: str, given: list[str]) -> dict[str, str]:
    tags = {"host": name}
    for item in given:
        tag_key, separator, value = item.partition("=")
        if not separator:
            _fail(f"--tag {item}: write key=value")
        tags[tag_key] = value
    try:
        return TypeAdapter(PointTags).validate_python(tags)
    except ValidationError as error:
        _fail(f"--tag: {error.errors()[0]['msg']}")


def _show(points: list[MetricPoint], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([point.model_dump(mode="json") for point in points], indent=2))
        return
    table = Table("metric", "value", "tags")
    for point in points:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(point.tags.items()))
        table.add_row(point.name, f"{point.value:,.2f}", labels)
    Console().print(table)


def _fail(message: str) -> NoReturn:
    typer.echo(f"pulseboard: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
