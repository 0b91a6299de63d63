"""The embedded TimescaleDB server: real processes on both sides of its port.

What is tried here is what a server with one backend can get wrong: clients that interleave, die or
dawdle, names and notifications that are each client's own, and rows that must outlive a kill.
"""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

pytestmark = pytest.mark.integration

LOCAL = Path(__file__).parents[2] / "infra" / "local"
START_TIMEOUT = 60.0
CANNOT_START = 1
CANNOT_LISTEN = 2
DIRECTORY_IN_USE = 3
USAGE = 64
CRASHED = 70

Connection = psycopg.Connection[TupleRow]


@dataclass
class Server:
    """A running server process and how to reach it."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def dsn(self) -> str:
        """The address; any user and password will do."""
        return f"host=127.0.0.1 port={self.port} user=anyone password=anything dbname=whatever"

    def connect(self, *, autocommit: bool = True, **options: Any) -> Connection:
        """Open a connection."""
        return psycopg.connect(self.dsn, autocommit=autocommit, **options)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            code = self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
        return code


def _spawn(*arguments: str, log: Path, node_options: Sequence[str] = ()) -> subprocess.Popen[str]:
    node = shutil.which("node")
    assert node, "Node.js 20 or later is a prerequisite"
    with log.open("ab") as stderr:
        return subprocess.Popen(
            [node, *node_options, str(LOCAL / "timescaledb.mjs"), *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def _start(data: Path, *options: str, node_options: Sequence[str] = ()) -> Server:
    log = data.with_suffix(".log")
    process = _spawn(
        "--data", str(data), "--port", "0", *options, log=log, node_options=node_options
    )
    assert process.stdout
    timer = threading.Timer(START_TIMEOUT, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    if not line:
        process.wait()
        process.stdout.close()
        raise AssertionError(f"no start: exit {process.returncode}: {log.read_text()}")
    ready = json.loads(line)
    assert ready["ready"] is True
    return Server(process, ready["port"], log)


def _refused(data: Path, *options: str) -> tuple[int, str]:
    """A start that must fail: its exit code and what it said."""
    log = data.with_suffix(".refused")
    log.unlink(missing_ok=True)
    process = _spawn("--data", str(data), *options, log=log)
    output, _ = process.communicate(timeout=20)
    assert output == ""
    return process.returncode, log.read_text()


@contextmanager
def _running(data: Path, *options: str, node_options: Sequence[str] = ()) -> Iterator[Server]:
    server = _start(data, *options, node_options=node_options)
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


@contextmanager
def _client(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A client in a process of its own; it says a line when it is where we want it."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a new database, to copy: faster than to create one each time."""
    if not (LOCAL / "node_modules").exists():
        subprocess.run(["npm", "ci", "--silent"], cwd=LOCAL, check=True)
    data = tmp_path_factory.mktemp("initialised") / "data"
    assert _start(data).stop() == 0
    return data


@pytest.fixture
def data(initialised: Path, tmp_path: Path) -> Path:
    """A data directory of the test's own."""
    return shutil.copytree(initialised, tmp_path / "data")


@pytest.fixture(scope="module")
def server(initialised: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests that need no restart."""
    copy = shutil.copytree(initialised, tmp_path_factory.mktemp("server") / "data")
    with _running(copy) as running:
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A client of that server, with no table of earlier tests in its way."""
    with server.connect() as connection:
        connection.execute("drop schema public cascade; create schema public")
        connection.execute("create table counters (id int primary key, value bigint not null)")
        connection.execute("create table items (id int, name text)")
        yield connection


def _value(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row
    return row[0]


# --- many clients --------------------------------------------------------------------------------

READ_MODIFY_WRITE = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for turn in range(50):
        with connection.transaction():
            key = (turn % 5,)
            value, = connection.execute("select value from counters where id = %s", key).fetchone()
            connection.execute("update counters set value = %s where id = %s", (value + 1, *key))
            if turn % 10 == 9:
                try:
                    with connection.transaction():
                        connection.execute("update counters set value = 1 / 0")
                except psycopg.errors.DivisionByZero:
                    pass
print("done", flush=True)
"""


def test_interleaved_transactions_lose_nothing(server: Server, connection: Connection) -> None:
    connection.execute("insert into counters select g, 0 from generate_series(0, 4) g")
    command = [sys.executable, "-c", READ_MODIFY_WRITE, server.dsn]
    clients = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [client.wait(90) for client in clients] == [0] * 8
    values = connection.execute("select value from counters order by id").fetchall()
    assert values == [(80,)] * 5


def test_pool_of_threads(server: Server, connection: Connection) -> None:
    connection.execute("insert into counters values (1, 0)")

    def work(pool: ConnectionPool[Connection]) -> None:
        for _ in range(25):
            with pool.connection() as one, one.transaction():
                one.execute("update counters set value = value + 1 where id = %s", (1,))

    with ConnectionPool(server.dsn, min_size=2, max_size=4, open=True) as pool:
        threads = [threading.Thread(target=work, args=(pool,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert _value(connection, "select value from counters") == 150


DIES_IN_TRANSACTION = """
import sys, time, psycopg
connection = psycopg.connect(sys.argv[1])
connection.execute("update counters set value = 999")
print("in", flush=True)
time.sleep(60)
"""


def test_killed_client_is_rolled_back(server: Server, connection: Connection) -> None:
    connection.execute("insert into counters values (1, 7)")
    with _client(DIES_IN_TRANSACTION, server.dsn) as client:
        assert client.stdout
        assert client.stdout.readline() == "in\n"
        client.kill()
        assert _value(connection, "select value from counters") == 7


def test_batch_without_its_end_is_not_committed(server: Server, connection: Connection) -> None:
    """Parse, Bind, Execute, Flush and then the client is gone: no Sync, so no commit."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        _start_up(raw)
        statement = b"\0insert into items values (1, 'half')\0\0\0"
        raw.sendall(
            _message(b"P", statement)
            + _message(b"B", bytes(8))
            + _message(b"E", bytes(5))
            + _message(b"H")
        )
        seen = b""
        while b"INSERT 0 1" not in seen:
            seen += raw.recv(4096)
    assert _value(connection, "select count(*) from items") == 0


def test_failed_transaction_keeps_others_out_until_its_end(
    server: Server, connection: Connection
) -> None:
    with server.connect(autocommit=False) as failing:
        with pytest.raises(errors.UndefinedTable):
            failing.execute("select * from nowhere")
        with pytest.raises(errors.InFailedSqlTransaction):
            failing.execute("select 1")
        failing.rollback()
        assert _value(connection, "select 1") == 1
        failing.execute("insert into items values (1, 'after')")
        failing.commit()
    assert _value(connection, "select name from items") == "after"


def test_idle_transaction_is_ended_and_others_go_on(data: Path) -> None:
    with _running(data, "--idle-transaction-ms", "300") as server:
        with server.connect() as other, server.connect(autocommit=False) as dawdler:
            other.execute("create table items (id int)")
            for _ in range(4):  # busy for longer than the limit, never idle for so long
                dawdler.execute("insert into items values (1)")
                time.sleep(0.15)
            start = time.monotonic()
            assert _value(other, "select count(*) from items") == 0
            assert time.monotonic() - start < 20
            with pytest.raises(errors.IdleInTransactionSessionTimeout):
                dawdler.execute("select 1")
        assert "transaction idle" in server.log.read_text()


# --- what each client has for itself -------------------------------------------------------------


def test_prepared_names_are_private(server: Server, connection: Connection) -> None:
    with server.connect() as other:
        for one in (connection, other):
            one.prepare_threshold = 0
        assert _value(connection, "select %s::int + 1", 1) == 2
        assert _value(other, "select %s::int + 2", 1) == 3  # the same name for another statement
        assert _value(connection, "select %s::int + 1", 5) == 6
        # psycopg sends this after each DROP or ROLLBACK, a pool may send DISCARD ALL.
        said = connection.execute("deallocate all", prepare=False).statusmessage
        assert said == "DEALLOCATE ALL"
        connection.execute("discard all", prepare=False)
        with connection.pipeline():
            connection.execute("deallocate all", prepare=False)
        assert _value(other, "select %s::int + 2", 7) == 9
        left = other.execute("select name from pg_prepared_statements").fetchall()
        assert len(left) == 2  # this query, too


def test_statements_of_a_departed_client_are_dropped(
    server: Server, connection: Connection
) -> None:
    with server.connect() as other:
        other.execute("select 1", prepare=True)
    assert _value(connection, "select count(*) from pg_prepared_statements") == 0


def test_unnamed_statement_survives_others(server: Server, connection: Connection) -> None:
    """Parse; Sync. Somebody else comes. Bind: still one's own statement."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        _start_up(raw)
        raw.sendall(_message(b"P", b"\0select 'mine'\0\0\0") + _message(b"S"))
        _until_ready(raw)
        assert _value(connection, "select %s::text", "theirs") == "theirs"
        raw.sendall(_message(b"B", bytes(8)) + _message(b"E", bytes(5)) + _message(b"S"))
        response = _until_ready(raw)
        assert b"mine" in response
        assert not response.startswith(b"1")  # no ParseComplete that was not requested


def test_settings_go_with_the_last_who_changed_them(server: Server, connection: Connection) -> None:
    with server.connect() as other:
        other.execute("set timezone = 'Asia/Tokyo'")
        assert _value(other, "show timezone") == "Asia/Tokyo"
    assert _value(connection, "show timezone") == "UTC"
    connection.execute("set work_mem = '8MB'")
    connection.execute("reset all")
    assert _value(connection, "show work_mem") == "4MB"
    assert _value(connection, "show client_min_messages") == "notice"
    assert _value(connection, "show timezone") == "UTC"


def test_notify_reaches_those_who_listen(server: Server, connection: Connection) -> None:
    with server.connect() as first, server.connect() as second, server.connect() as deaf:
        first.execute('listen "Mixed"')
        second.execute('listen "Mixed"')
        deaf.execute("listen something_else")
        connection.execute("select pg_notify('Mixed', 'one')")
        first.execute("unlisten *")
        connection.execute("notify \"Mixed\", 'two'")
        sender = connection.info.backend_pid
        heard = [(n.payload, n.pid) for n in second.notifies(timeout=2, stop_after=2)]
        assert heard == [("one", sender), ("two", sender)]
        assert [n.payload for n in first.notifies(timeout=0.1)] == ["one"]
        assert not list(deaf.notifies(timeout=0.1))
        second.execute("notify \"Mixed\", 'to myself'")
        assert [n.payload for n in second.notifies(timeout=2, stop_after=1)] == ["to myself"]


# --- the protocol --------------------------------------------------------------------------------


def test_pipeline_recovers_after_an_error(connection: Connection) -> None:
    def one_batch() -> None:
        with connection.pipeline():
            connection.execute("insert into items values (1, 'undone with the failing one')")
            connection.execute("insert into nowhere values (1)")
            connection.execute("insert into items values (2, 'skipped')")

    with pytest.raises(errors.UndefinedTable):
        one_batch()
    with connection.pipeline() as pipeline:
        good = connection.execute("insert into items values (3, 'kept') returning id")
        pipeline.sync()
        connection.execute("select 1 / 0")
        with pytest.raises(errors.DivisionByZero):
            pipeline.sync()
        last = connection.execute("select 4")
        assert good.fetchone() == (3,)
        assert last.fetchone() == (4,)
    assert connection.execute("select id from items").fetchall() == [(3,)]


def test_long_pipeline(connection: Connection) -> None:
    """Longer than the backend's receive buffer, with messages that end where it ends."""
    with connection.pipeline():
        cursors = [connection.execute("select %s::int", (n,)) for n in range(1500)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(1500)]


def test_pipeline_lets_others_in_when_it_is_done(server: Server, connection: Connection) -> None:
    """psycopg ends a pipeline by Sync and then a Flush, which must not hold the backend."""
    with server.connect() as other:
        with other.pipeline():
            other.execute("select 1")
        start = time.monotonic()
        assert _value(connection, "select 1") == 1
        assert time.monotonic() - start < 20


def test_named_cursor(connection: Connection) -> None:
    with connection.transaction(), connection.cursor("rows") as cursor:
        cursor.itersize = 100
        cursor.execute("select generate_series(1, 1000)")
        assert sum(row[0] for row in cursor) == 500_500


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_copy_both_ways(connection: Connection, form: str) -> None:
    rows = [(n, f'name\t"{n}", é') for n in range(2000)]
    into = sql.SQL("copy items (id, name) from stdin (format {})").format(sql.SQL(form))
    out = sql.SQL("copy (select * from items order by id) to stdout (format {})")
    with connection.cursor() as cursor:
        with cursor.copy(into) as copy:
            if form == "csv":
                copy.write("".join('{},"{}"\n'.format(n, t.replace('"', '""')) for n, t in rows))
            else:
                copy.set_types(["int4", "text"])
                for row in rows:
                    copy.write_row(row)
        assert cursor.rowcount == 2000
        assert connection.execute("select * from items order by id").fetchall() == rows
        with cursor.copy(out.format(sql.SQL(form))) as copy:
            written = b"".join(bytes(block) for block in copy)
        connection.execute("truncate items")
        with cursor.copy(into) as copy:
            copy.write(written)
    assert connection.execute("select * from items order by id").fetchall() == rows


def test_copy_that_fails(connection: Connection) -> None:
    with connection.cursor() as cursor:
        with (
            pytest.raises(errors.InvalidTextRepresentation, match="not a number"),
            cursor.copy("copy items from stdin") as copy,
        ):
            copy.write("1\tgood\nnot a number\tbad\n")
        with pytest.raises(errors.UndefinedTable), cursor.copy("copy nowhere from stdin") as copy:
            copy.write("1\n")
        with suppress(KeyError), cursor.copy("copy items from stdin") as copy:
            copy.write("1\tabandoned by its client\n")
            raise KeyError
    assert _value(connection, "select count(*) from items") == 0


def test_copy_among_other_statements_is_an_error_and_no_hang(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        _start_up(raw)
        raw.sendall(_message(b"Q", b"select 1; copy items from stdin\0"))
        assert b"only as a statement of its own" in _until_ready(raw)


def test_copy_by_the_extended_protocol(server: Server, connection: Connection) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        _start_up(raw)
        bind_and_execute = _message(b"B", bytes(8)) + _message(b"E", bytes(5)) + _message(b"S")
        raw.sendall(_message(b"P", b"\0copy items from stdin\0\0\0") + bind_and_execute)
        seen = b""
        while b"G\0\0\0\x07" not in seen:
            seen += raw.recv(4096)
        raw.sendall(_message(b"d", b"1\tone\n2\ttwo\n") + _message(b"c") + _message(b"S"))
        assert b"COPY 2" in _until_ready(raw)
        # A batch that fails before its COPY takes no data: the Sync in it gets its response.
        raw.sendall(_message(b"P", b"\0copy items from stdin nonsense\0\0\0") + bind_and_execute)
        assert b"42601" in _until_ready(raw)
    assert _value(connection, "select count(*) from items") == 2


def test_copy_holds_nobody_up(server: Server, connection: Connection) -> None:
    with server.connect() as slow, slow.cursor().copy("copy items from stdin") as copy:
        copy.write("1\tone\n")
        assert _value(connection, "select count(*) from items") == 0
    assert _value(connection, "select count(*) from items") == 1


def test_values_of_30_megabytes(connection: Connection) -> None:
    big = "x" * 30_000_000
    connection.execute("insert into items values (1, %s)", (big,))
    assert _value(connection, "select name from items where id = 1") == big
    with connection.cursor().copy("copy items from stdin") as copy:
        copy.write(f"2\t{big}\n")
    assert connection.execute("select id, length(name) from items order by id").fetchall() == [
        (1, len(big)),
        (2, len(big)),
    ]


def test_cancel_request_and_bad_bytes_are_closed(server: Server, connection: Connection) -> None:
    connection.cancel_safe(timeout=5)
    for bad in (
        struct.pack("!ii", 8, 2 << 16),
        struct.pack("!i", 2**30),
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
            raw.sendall(bad)
            while raw.recv(4096):
                pass
    assert _value(connection, "select 1") == 1


# --- the process and its data --------------------------------------------------------------------


def test_acknowledged_rows_survive_kills(data: Path) -> None:
    """Five times: writers at work, kill -9, start again. The lock it left is taken over, too."""
    acknowledged: list[int] = []
    written = iter(range(1_000_000))

    def write(server: Server) -> None:
        with suppress(psycopg.OperationalError), server.connect() as connection:
            while True:
                number = next(written)
                connection.execute("insert into kept values (%s, repeat('x', 500))", (number,))
                acknowledged.append(number)

    for attempt in range(5):
        with _running(data) as server:
            with server.connect() as connection:
                connection.execute("create table if not exists kept (id int, filler text)")
                found = {row[0] for row in connection.execute("select id from kept")}
                assert set(acknowledged) <= found
            before = len(acknowledged)
            writers = [threading.Thread(target=write, args=(server,)) for _ in range(2)]
            for writer in writers:
                writer.start()
            while len(acknowledged) < before + 50:
                time.sleep(0.01)
            time.sleep(0.05 * attempt)
            server.stop(signal.SIGKILL)
            for writer in writers:
                writer.join()
    with _running(data) as server, server.connect() as connection:
        found = {row[0] for row in connection.execute("select id from kept")}
        assert set(acknowledged) <= found
        assert len(acknowledged) >= 250


def test_timescale_features_after_a_restart(data: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with _running(data) as server:
        with server.connect() as connection:
            connection.execute("create table raw (time timestamptz not null, id int, value float8)")
            connection.execute("select create_hypertable('raw', by_range('time', interval '4h'))")
            connection.execute(
                "create materialized view minutes with (timescaledb.continuous) as"
                " select time_bucket('1 minute', time) as bucket, id, avg(value) as average"
                " from raw group by 1, 2 with no data"
            )
        assert server.stop() == 0
    with _running(data) as server, server.connect() as connection:
        with connection.cursor().copy("copy raw from stdin (format binary)") as copy:
            copy.set_types(["timestamptz", "int4", "float8"])
            for n in range(3600):
                copy.write_row((now + timedelta(seconds=10 * n), n % 3, float(n)))
        connection.execute("call refresh_continuous_aggregate('minutes', null, null)")
        assert _value(connection, "select count(*) from minutes") == 1800
        connection.execute(
            "alter table raw set (timescaledb.enable_columnstore,"
            " timescaledb.segmentby = 'id', timescaledb.orderby = 'time desc')"
        )
        connection.execute("call add_columnstore_policy('raw', after => interval '2 hours')")
        compress = _value(
            connection,
            "select job_id from timescaledb_information.jobs where hypertable_name = 'raw'",
        )
        connection.execute("call run_job(%s)", (compress,))
        compressed = "select count(*) from timescaledb_information.chunks where is_compressed"
        assert _value(connection, compressed) == 3
        assert _value(connection, "select sum(value) from raw where id = 1") == sum(
            range(1, 3600, 3)
        )
        refresh = _value(
            connection,
            "select add_continuous_aggregate_policy('minutes', start_offset => interval '6 days',"
            " end_offset => interval '1 minute', schedule_interval => interval '1 minute')",
        )
        connection.execute("call run_job(%s)", (refresh,))
        drop = _value(connection, "select add_retention_policy('raw', interval '1 day')")
        connection.execute("call run_job(%s)", (drop,))
        left = _value(connection, "select count(*) from raw where time < now() - interval '2 days'")
        assert left == 0


def test_terminates_cleanly(data: Path) -> None:
    with _running(data) as server:
        idle = server.connect()
        open_transaction = server.connect(autocommit=False)
        idle.execute("create table items (id int)")
        open_transaction.execute("insert into items values (1)")
        assert server.stop() == 0
        for connection in (idle, open_transaction):
            with pytest.raises(errors.AdminShutdown):
                connection.execute("select 1")
            connection.close()
        assert not (data / "server.lock").exists()
        assert not (data / "pgdata" / "postmaster.pid").exists()
    with _running(data) as server, server.connect() as connection:
        assert _value(connection, "select count(*) from items") == 0


def test_second_process_on_a_directory_is_refused(data: Path) -> None:
    with _running(data) as server:
        code, said = _refused(data, "--port", "0")
        assert code == DIRECTORY_IN_USE
        assert said.count("\n") == 1
        assert f"in use by process {server.process.pid}" in said
        with server.connect() as connection:
            assert _value(connection, "select 1") == 1


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param({"pid": 2**22 - 1, "started": None}, id="no such process"),
        pytest.param({"pid": os.getpid(), "started": "an earlier boot/1"}, id="another's id now"),
        pytest.param("", id="cut off"),
    ],
)
def test_of_many_that_find_a_stale_lock_one_wins(data: Path, stale: object) -> None:
    (data / "server.lock").write_text(json.dumps(stale) if stale else "")
    log = data.with_suffix(".log")
    racers = [_spawn("--data", str(data), "--port", "0", log=log) for _ in range(3)]
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while sum(racer.poll() is not None for racer in racers) < 2:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        [winner] = [racer for racer in racers if racer.poll() is None]
        assert winner.stdout
        assert json.loads(winner.stdout.readline())["ready"] is True
        codes = [racer.returncode for racer in racers if racer is not winner]
        assert codes == [DIRECTORY_IN_USE] * 2, log.read_text()
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_port_in_use(server: Server, tmp_path: Path) -> None:
    code, said = _refused(tmp_path / "other", "--port", str(server.port))
    assert code == CANNOT_LISTEN
    assert said == f"timescaledb: port {server.port} on 127.0.0.1 is already in use\n"


def test_trusts_no_other_machine(tmp_path: Path) -> None:
    code, said = _refused(tmp_path / "data", "--host", "0.0.0.0")
    assert code == USAGE
    assert "loopback" in said


def test_creation_cut_short_is_begun_afresh(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = _spawn("--data", str(data), "--port", "0", log=tmp_path / "log")
    while not (data / "pgdata" / "base").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    with _running(data) as server, server.connect() as connection:
        assert _value(connection, "select 1") == 1

    # Nothing that is not empty is deleted: the half-made files were moved aside.
    [aside] = data.glob("pgdata.unfinished-*")
    assert (aside / "base").exists()


def _files(directory: Path) -> dict[str, int]:
    return {
        str(file.relative_to(directory)): file.stat().st_size
        for file in directory.rglob("*")
        if file.is_file()
    }


def test_a_directory_without_its_version_file_is_refused_and_left_as_it_is(data: Path) -> None:
    version = data / "pgdata" / "PG_VERSION"
    content = version.read_text()
    version.unlink()
    before = _files(data)
    # Twice: the first start must not leave behind what makes the second one delete.
    for _ in range(2):
        code, said = _refused(data, "--port", "0")
        assert code == CANNOT_START
        assert "no PG_VERSION" in said
        assert "Nothing was changed" in said
    assert _files(data) == before
    # A marker of a creation, as versions up to 0.1 left it in such a directory.
    (data / "initialising").write_text("")
    assert _refused(data, "--port", "0")[0] == CANNOT_START
    version.write_text(content)
    with _running(data) as server, server.connect() as connection:
        assert _value(connection, "select 1") == 1


@pytest.mark.parametrize("file", ["global/pg_control", "PG_VERSION"])
def test_a_damaged_directory_gives_a_sentence_and_stays(data: Path, file: str) -> None:
    (data / "pgdata" / file).write_bytes(b"")
    before = _files(data / "pgdata")
    code, said = _refused(data, "--port", "0")
    assert code == CANNOT_START, said
    assert "can't be opened" in said
    assert "Restore a backup" in said
    assert set(before) <= set(_files(data / "pgdata")) | {"postmaster.pid"}


def test_crash_of_the_database_ends_the_process(data: Path) -> None:
    """Stands in for an abort inside the WebAssembly: an exception nobody expected."""
    crash = "process.on('SIGUSR2', () => { throw new Error('Aborted()') })"
    with _running(data, node_options=["--import", f"data:text/javascript,{crash}"]) as server:
        assert server.stop(signal.SIGUSR2) == CRASHED
        assert "fatal: Aborted()" in server.log.read_text()


STARTS_SERVER = """
import subprocess, sys, time
server = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
server.stdout.readline()
print(server.pid, flush=True)
time.sleep(60)
"""


def test_ends_with_its_parent(data: Path) -> None:
    node = shutil.which("node") or "node"
    script = [str(LOCAL / "timescaledb.mjs"), "--data", str(data), "--port", "0"]
    with _client(STARTS_SERVER, node, *script, "--exit-with-parent") as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while (data / "server.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    gone = not (data / "server.lock").exists()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert gone


# --- bytes for what psycopg does not send --------------------------------------------------------


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


def _start_up(raw: socket.socket) -> None:
    body = struct.pack("!i", 3 << 16) + b"user\0anyone\0\0"
    raw.settimeout(10)
    raw.sendall(struct.pack("!i", 4 + len(body)) + body)
    _until_ready(raw)


def _until_ready(raw: socket.socket) -> bytes:
    response = b""
    while response[-6:-1] != b"Z\0\0\0\x05":
        received = raw.recv(65_536)
        assert received, response
        response += received
    return response
