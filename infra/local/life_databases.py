"""The databases that `make life` starts, kills, moves to and leaves."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from infra.local import services
from infra.local.load import METRIC
from infra.local.services import Child


@dataclass
class Embedded:
    """An embedded TimescaleDB that can be killed."""

    data: Path
    port: int
    what: str = "a second embedded TimescaleDB"
    _child: Child | None = None

    @property
    def url(self) -> str:
        return services.timescaledb_url(self.port)

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data.with_suffix(".log")
        self._child = services.timescaledb_child(port=self.port, data=self.data, log=log)
        self._child.start()
        services.wait_for_timescaledb(self._child)

    def kill(self) -> None:
        if self._child and self._child.process:
            self._child.process.kill()
            self._child.process.wait()

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def rotate(self) -> str:
        return ""

    def drop(self) -> None:
        self.stop()


@dataclass
class Server:
    """A database of its own on a real server, and a role that owns it."""

    server: str
    name: str = field(default_factory=lambda: f"life_{os.getpid()}")
    password: str = "first"

    def __post_init__(self) -> None:
        with self._connected() as connection:
            version = connection.execute("show server_version").fetchone()
            self._run(connection, "create role {} login superuser password {}")
            self._run(connection, "create database {}")
        self.what = f"PostgreSQL {version[0] if version else '?'}"

    @property
    def url(self) -> str:
        parts = urlsplit(self.server)
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{self.name}:{self.password}@{host}"
        return parts._replace(netloc=netloc, path=f"/{self.name}").geturl()

    def rotate(self) -> str:
        """A new password; nothing for a server that accepts the old one all the same."""
        old = self.url
        self.password = "second"
        with self._connected() as connection:
            self._run(connection, "alter role {} password {}")
        try:
            with psycopg.connect(old):
                return "its password was changed, but the server checks none (trust)"
        except psycopg.OperationalError:
            return "its password was rotated: the old one is refused"

    def drop(self) -> None:
        with self._connected() as connection:
            self._run(connection, "drop database if exists {} with (force)")
            self._run(connection, "drop role if exists {}")

    def _connected(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.server, autocommit=True)

    def _run(self, connection: "psycopg.Connection[Any]", statement: str) -> None:
        values = [sql.Identifier(self.name), sql.Literal(self.password)]
        connection.execute(sql.SQL(statement).format(*values[: statement.count("{}")]))


def external(data: Path, server: str) -> Embedded | Server:
    if server:
        return Server(server)
    embedded = Embedded(data / "outside", services.free_port())
    embedded.start()
    return embedded


def stored_rows(url: str) -> dict[str, set[int]]:
    """Every raw sample of the senders, from the tables: for when the product is gone."""
    found: dict[str, set[int]] = {}
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for sender, at in connection.execute(
            "select tags->>'sender', (extract(epoch from time) * 1000)::bigint from metric_points"
            " where name = %s",
            (METRIC,),
        ):
            found.setdefault(sender, set()).add(at)
    return found
