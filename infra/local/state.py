"""The state of the local stack between starts, secrets included: a file for its owner alone."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from infra.local.services import ServiceError


@dataclass
class StackState:
    """Addresses and first credentials of the local stack; `database` tells which one they fit."""

    url: str = ""
    email: str = ""
    password: str = ""
    api_key: str = ""
    user_id: str = ""
    database: str = ""
    database_url: str = ""
    redis_url: str = ""


def load(file: Path) -> StackState:
    """The state of the last start, or an empty one. Raises ServiceError for a damaged file."""
    if not file.exists():
        return StackState()
    known = {field.name for field in fields(StackState)}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = {key: value for key, value in content.items() if key in known}
        if not all(isinstance(value, str) for value in found.values()):
            raise ValueError("its values are no texts")
    except (OSError, ValueError, AttributeError) as error:
        raise ServiceError(
            f"{file} can't be read ({error}). It holds addresses and the first password only: move "
            "it away and start again; `pulseboard reset-admin` gives the admin a new password."
        ) from error
    return StackState(**found)


def save(file: Path, state: StackState) -> None:
    """Write it whole or not at all, readable by its owner only."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        json.dump(asdict(state), output, indent=2)
    new.replace(file)
