"""Which errors of the database are an outage: those in a list, one by one."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from pulseboard.db import database


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection unexpectedly"),
        PoolTimeout("no connection"),
        errors.ConnectionFailure(),
        errors.TooManyConnections(),
        errors.AdminShutdown(),
        errors.CrashShutdown(),
        errors.CannotConnectNow(),
    ],
)
def test_a_database_that_is_not_there_is_an_outage(error: Exception) -> None:
    assert database.is_outage(error)
    assert database.is_unavailable(error)


@pytest.mark.parametrize("error", [errors.DiskFull(), errors.OutOfMemory(), errors.IoError()])
def test_a_database_that_lacks_something_is_unavailable_and_no_outage(error: Exception) -> None:
    """Others may succeed: it opens no circuit breaker."""
    assert not database.is_outage(error)
    assert database.is_unavailable(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigurationLimitExceeded(),
        errors.QueryCanceled(),
        errors.DuplicateFile(),
        errors.ProgramLimitExceeded(),
        errors.UniqueViolation(),
        ValueError("no error of a database"),
    ],
)
def test_a_statement_that_is_refused_is_no_outage(error: Exception) -> None:
    assert not database.is_outage(error)
    assert not database.is_unavailable(error)
