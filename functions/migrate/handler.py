"""Brings the database to this version's schema; a deploy calls it once."""

from typing import Any

from pulseboard.migrate import migrate
from pulseboard.observability import logger
from pulseboard.settings import settings


def handler(event: dict[str, Any], context: object) -> dict[str, list[str]]:
    """Names of the migrations that were applied. Raises MigrationError, which fails the deploy."""
    applied = migrate(settings().database_url.get_secret_value())
    logger().info("migrated", extra={"applied": applied})
    return {"applied": applied}
