"""Brings the database to this version's schema; a deploy calls it before new code serves."""

from typing import Any

from functions import imported
from pulseboard.exceptions import Conflict
from pulseboard.migrate import migrate
from pulseboard.observability import logger
from pulseboard.stores import first_start, secrets


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Names of the migrations that were applied.

    With `{"admin": "me@example.com"}` it also makes that admin, a dashboard and a key for agents,
    unless there is one, and gives a link's token to sign in once. Raises MigrationError, which
    fails the deploy.
    """
    applied = migrate(secrets.database_url())
    logger().info("migrated", extra={"applied": applied})
    answer: dict[str, Any] = {"applied": applied}
    if event.get("admin"):
        try:
            answer["first"] = first_start.begin(str(event["admin"]))
        except Conflict:
            answer["first"] = None
    return answer


imported()
