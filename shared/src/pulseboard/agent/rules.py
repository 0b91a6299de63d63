"""`pulseboard rules`: applies alert rules from files to a Pulseboard over its API."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer

from pulseboard.alerts import rule_files

app = typer.Typer(help="Alert rules in files.", no_args_is_help=True)


@app.callback()
def _main() -> None:
    """Alert rules in files."""


@app.command("apply")
def apply_rules(
    file: Annotated[Path, typer.Argument(help="YAML: rules of ours, or a Prometheus rule file.")],
    url: Annotated[
        str, typer.Option(envvar="PULSEBOARD_URL", help="Address of Pulseboard.")
    ] = "http://localhost:8080",
    key: Annotated[
        str,
        typer.Option(envvar="PULSEBOARD_API_KEY", help="API key with the scopes read and write."),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
) -> None:
    """Create the rules of a file, or update those of the same name; exits with 1 if any failed."""
    try:
        import yaml
    except ImportError:
        _fail("this needs PyYAML: pip install 'pulseboard[agent]'")
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        _fail(f"can't read {file}: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        _fail(f"{file} is no YAML: {error}")
    report = rule_files.read(document)
    failed = list(report.refused)
    if not dry_run and not key:
        _fail("name an API key with --key or PULSEBOARD_API_KEY")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url.rstrip("/") + "/api/v1/alerts", headers=headers) as http:
        try:
            known = {} if dry_run else _known(http)
            for rule in report.rules:
                body = rule.model_dump(mode="json", by_alias=True)
                # Channels of a file are by name or without secrets: those belong in the product.
                if not rule.notification.channels:
                    body.pop("notification")
                problem = None if dry_run else _put(http, known, rule.name, body)
                if problem:
                    failed.append(f"{rule.name}: {problem}")
                else:
                    typer.echo(f"{'would apply' if dry_run else 'applied'}  {rule.name}")
        except httpx.HTTPError as error:
            _fail(f"can't reach {url}: {error}")
    for note in report.notes:
        typer.echo(f"note     {note}")
    for text in failed:
        typer.echo(f"refused  {text}", err=True)
    if failed:
        raise typer.Exit(1)


def _known(http: httpx.Client) -> dict[str, list[str]]:
    """Ids of the existing rules, by name."""
    known: dict[str, list[str]] = {}
    page = 1
    while True:
        response = http.get("/rules", params={"pageSize": 1000, "page": page})
        if response.status_code != 200:
            _fail(_problem(response))
        body = response.json()
        for rule in body["data"]:
            known.setdefault(rule["name"], []).append(rule["id"])
        if page * 1000 >= body["meta"]["total"]:
            return known
        page += 1


def _put(
    http: httpx.Client, known: dict[str, list[str]], name: str, body: dict[str, Any]
) -> str | None:
    ids = known.get(name, [])
    if len(ids) > 1:
        return f"{len(ids)} rules have this name: rename all but one"
    response = http.put(f"/rules/{ids[0]}", json=body) if ids else http.post("/rules", json=body)
    if response.status_code in (200, 201):
        known[name] = [response.json()["data"]["id"]]
        return None
    return _problem(response)


def _problem(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _fail(message: str) -> NoReturn:
    typer.echo(f"pulseboard: {message}", err=True)
    raise typer.Exit(1)
