"""Brings the database to this version's schema; a deploy calls it before new code serves."""

from functions import bootstrap

bootstrap.before_imports()

from typing import Any

from pulseboard import seed
from pulseboard.core.exceptions import Conflict
from pulseboard.core.observability import logger
from pulseboard.db import database_url
from pulseboard.db.migrate import migrate


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Names of the migrations that were applied, and whether the database is `empty`: has nobody.

    With `{"admin": "me@example.com"}` it also makes that admin, a dashboard and a key for agents,
    unless there is one, and gives a link's token to sign in once. Raises MigrationError, which
    fails the deploy.
    """
    applied = migrate(database_url.resolve())
    logger().info("migrated", extra={"applied": applied})
    result: dict[str, Any] = {"applied": applied, "empty": seed.is_empty()}
    if event.get("admin"):
        try:
            result["first"] = seed.begin(str(event["admin"]))
        except Conflict:
            result["first"] = None
    return result


bootstrap.after_imports()
