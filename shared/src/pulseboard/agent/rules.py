"""`pulseboard rules`: alert and recording rules in files, and in a Pulseboard over its API."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer

from pulseboard.agent import yaml_file
from pulseboard.alerts import rule_files
from pulseboard.alerts.rule_files import RuleImportReport
from pulseboard.contracts.alerts import AlertRuleFields, CreateAlertRule
from pulseboard.contracts.base import interval_seconds
from pulseboard.contracts.recordings import (
    CreateRecordingRule,
    RecordingRuleFields,
    RuleGroupFields,
)

app = typer.Typer(help="Alert and recording rules in files.", no_args_is_help=True)

Url = Annotated[str, typer.Option(envvar="PULSEBOARD_URL", help="Address of Pulseboard.")]
Key = Annotated[str, typer.Option(envvar="PULSEBOARD_API_KEY", help="API key.")]
RuleFile = Annotated[Path, typer.Argument(help="YAML: rules of ours, or a Prometheus rule file.")]
_LOCAL = "http://localhost:8080"


@app.callback()
def _main() -> None:
    """Alert and recording rules in files."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What one rule, or group, of a file is to become: `stored` is None for a new one."""

    kind: str
    name: str
    path: str
    stored: Mapping[str, Any] | None
    body: Mapping[str, Any]

    @property
    def done(self) -> str:
        """What applying it does."""
        if self.stored is None:
            return "created"
        return "updated" if differs(self.stored, self.body) else "unchanged"

    @property
    def fields(self) -> list[str]:
        """The fields that differ, with both values."""
        stored = self.stored or {}
        return [
            f"{name}: {stored.get(name)!r} -> {value!r}"
            for name, value in self.body.items()
            if _comparable(name, stored.get(name)) != _comparable(name, value)
        ]


@app.command("apply")
def apply_rules(
    file: RuleFile,
    url: Url = _LOCAL,
    key: Key = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete rules of the file's groups that it has not.")
    ] = False,
) -> None:
    """Create the rules of a file, or update those that differ; exits with 1 if any failed.

    A rule is found by its place in the file (group, name, position among those of the name), else
    by its name. The key needs the scopes read and write.
    """
    report = rule_files.read(_document(file))
    failed = list(report.refused)
    if dry_run and not key:
        names = [rule.name for rule in report.recordings] + [rule.name for rule in report.rules]
        for name in names:
            typer.echo(f"would apply  {name}")
    else:
        with _client(url, key) as http:
            changes, others = _changes(http, report)
            for change in changes:
                problem = None if dry_run or change.done == "unchanged" else _put(http, change)
                if problem:
                    failed.append(f"{change.name}: {problem}")
                elif change.kind != "group":
                    typer.echo(f"{_word(change.done, dry_run):<11}  {change.name}")
            for path, stored in others if prune else []:
                problem = None if dry_run else _delete(http, path, stored)
                if problem:
                    failed.append(f"{stored['name']}: {problem}")
                else:
                    typer.echo(f"{_word('deleted', dry_run):<11}  {stored['name']}")
    for note in report.notes:
        typer.echo(f"note     {note}")
    for text in failed:
        typer.echo(f"refused  {text}", err=True)
    if failed:
        raise typer.Exit(1)


def _word(done: str, dry_run: bool) -> str:
    return f"would be {done}" if dry_run and done != "unchanged" else done


@app.command("diff")
def diff_rules(file: RuleFile, url: Url = _LOCAL, key: Key = "") -> None:
    """What applying a file would change, field by field; exits with 1 if anything, with 2 if a rule
    is refused. Rules of the file's groups that only Pulseboard has are listed, too."""
    report = rule_files.read(_document(file))
    found = False
    with _client(url, key) as http:
        changes, others = _changes(http, report)
    for change in changes:
        if change.done == "unchanged":
            continue
        found = True
        typer.echo(f"{'+' if change.stored is None else '~'} {change.kind} {change.name}")
        for text in change.fields if change.stored is not None else []:
            typer.echo(f"    {text}")
    for _, stored in others:
        found = True
        typer.echo(f"- {stored['name']} (group {stored['group']}): not in the file")
    for note in report.notes:
        typer.echo(f"note     {note}")
    for text in report.refused:
        typer.echo(f"refused  {text}", err=True)
    if report.refused:
        raise typer.Exit(2)
    if found:
        raise typer.Exit(1)


@app.command("export")
def export_rules(
    url: Url = _LOCAL,
    key: Key = "",
    group: Annotated[
        list[str] | None, typer.Option(help="Only this group; may be given more than once.")
    ] = None,
) -> None:
    """Print all rules as a Prometheus rule file, with their groups and intervals."""
    yaml = _yaml()
    with _client(url, key) as http:
        alerts = [_fields(CreateAlertRule, one) for one in _stored(http, "/rules")]
        recordings = [_fields(CreateRecordingRule, one) for one in _stored(http, "/recordings")]
        groups = [_fields(RuleGroupFields, one) for one in _data(http.get("/groups"))]
    wanted = set(group or ())
    document, notes = rule_files.exported(
        [one for one in alerts if not wanted or one.group in wanted],
        [one for one in recordings if not wanted or one.group in wanted],
        groups,
    )
    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100), nl=False)
    for note in notes:
        typer.echo(f"note     {note}", err=True)


@app.command("check")
def check_rules(
    files: Annotated[list[Path], typer.Argument(help="Prometheus rule files.")],
) -> None:
    """Check Prometheus rule files without a server; exits with 1 if anything is wrong."""
    # The parser is only needed here.
    from pulseboard.alerts.rule_check import check

    def checked(file: Path) -> bool:
        found = check(_document(file))
        typer.echo(f"{file}: {found.alerting} alerting and {found.recording} recording rules")
        for problem in found.problems:
            typer.echo(f"  {problem}")
        return not found.problems

    _each(files, checked)


@app.command("test")
def test_rules(
    files: Annotated[list[Path], typer.Argument(help="Unit tests, as those of promtool.")],
) -> None:
    """Run unit tests of Prometheus rule files, in promtool's format, without a server; exits with 1
    if any fails."""
    # The evaluator is only needed here.
    from pulseboard.agent import rule_tests

    def passes(file: Path) -> bool:
        document = _document(file)
        names = document.get("rule_files") if isinstance(document, Mapping) else None
        paths = [path for name in names or () for path in _matching(file.parent, str(name))]
        try:
            report = rule_tests.run(document, [_document(path) for path in paths])
        except rule_tests.Unusable as error:
            typer.echo(f"{file}: {error}", err=True)
            return False
        typer.echo(f"{file}: {report.checks} checks, {len(report.failures)} failed")
        for failure in report.failures:
            typer.echo(f"  FAILED: {failure}")
        return not report.failures

    _each(files, passes)


def _each(files: Sequence[Path], works: Callable[[Path], bool]) -> None:
    """Take each file, whatever became of those before; exits with 1 if one does not work."""
    outcomes = [works(file) for file in files]
    if not all(outcomes):
        raise typer.Exit(1)


@app.command("backfill")
def backfill_rule(
    name: Annotated[str, typer.Argument(help="The metric of a recording rule.")],
    start: Annotated[str, typer.Option(help="ISO 8601 with a zone.")],
    end: Annotated[str, typer.Option(help="ISO 8601 with a zone.")],
    url: Url = _LOCAL,
    key: Key = "",
) -> None:
    """Write what the recording rules of a name would have written in a range."""
    with _client(url, key) as http:
        rules = [one for one in _stored(http, "/recordings") if one["name"] == name]
        if not rules:
            _fail(f"there is no recording rule {name}")
        for rule in rules:
            body = {"start": start, "end": end}
            done = _data(http.post(f"/recordings/{rule['id']}/backfill", json=body, timeout=60))
            typer.echo(f"{done['samples']} samples of {done['series']} series  {name}")
            for note in done["notes"]:
                typer.echo(f"note     {note}")


def _matching(directory: Path, pattern: str) -> list[Path]:
    """The files of a path beside a file of tests, which may hold wildcards."""
    if not any(sign in pattern for sign in "*?["):
        return [directory / pattern]
    return sorted(directory.glob(pattern))


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        _fail("this needs PyYAML: pip install 'pulseboard[agent]'")
    return yaml


def _document(file: Path) -> object:
    """The content of a YAML file."""
    try:
        return yaml_file.read(file)
    except yaml_file.UnreadableFile as error:
        _fail(str(error))


@contextmanager
def _client(url: str, key: str) -> Iterator[httpx.Client]:
    """A client of the API; ends the command when it can't be reached."""
    if not key:
        _fail("name an API key with --key or PULSEBOARD_API_KEY")
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=url.rstrip("/") + "/api/v1/alerts", headers=headers) as http:
            yield http
    except httpx.HTTPError as error:
        _fail(f"can't reach {url}: {error}")


def _stored(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    """All rules as they are stored."""
    stored: list[dict[str, Any]] = []
    page = 1
    while True:
        response = http.get(path, params={"pageSize": 1000, "page": page})
        if response.status_code != 200:
            _fail(_problem(response))
        body = response.json()
        stored += body["data"]
        if page * 1000 >= body["meta"]["total"]:
            return stored
        page += 1


def _data(response: httpx.Response) -> Any:
    if response.status_code not in (200, 201):
        _fail(_problem(response))
    return response.json()["data"]


def _fields(model: Any, stored: Mapping[str, Any]) -> Any:
    """The fields of a stored rule or group, without what the server adds."""
    aliases = {info.alias or name for name, info in model.model_fields.items()}
    return model.model_validate({key: each for key, each in stored.items() if key in aliases})


_Other = tuple[str, Mapping[str, Any]]


def _changes(http: httpx.Client, report: RuleImportReport) -> tuple[list[_Change], list[_Other]]:
    """What becomes of each group and rule of a file; and the stored rules of its groups that it
    does not have, each with the path of its kind."""
    changes = []
    groups = {one["name"]: one for one in _data(http.get("/groups"))} if report.groups else {}
    for group in report.groups:
        body = group.model_dump(mode="json", by_alias=True)
        changes.append(_Change("group", group.name, "/groups", groups.get(group.name), body))
    others: list[_Other] = []
    in_file = {group.name for group in report.groups}
    kinds: tuple[tuple[str, str, Sequence[AlertRuleFields | RecordingRuleFields]], ...] = (
        ("recording rule", "/recordings", report.recordings),
        ("alert rule", "/rules", report.rules),
    )
    for kind, path, rules in kinds:
        stored = _stored(http, path)
        known = KnownRules(stored, rules)
        used = set()
        for rule in rules:
            body = rule.model_dump(mode="json", by_alias=True)
            # Channels of a file are by name or without secrets: those belong in the product.
            if isinstance(rule, AlertRuleFields) and not rule.notification.channels:
                body.pop("notification")
            found = known.of(rule)
            used.add(found["id"] if found is not None else None)
            changes.append(_Change(kind, rule.name, path, found, body))
        others += [
            (path, one) for one in stored if one["group"] in in_file and one["id"] not in used
        ]
    return changes, others


class KnownRules:
    """The stored rules, and which of them the rules of a file are."""

    def __init__(
        self,
        stored: Iterable[Mapping[str, Any]],
        in_file: Iterable[AlertRuleFields | RecordingRuleFields],
    ) -> None:
        wanted = {rule.source for rule in in_file}
        self._by_source: dict[str, Mapping[str, Any]] = {}
        self._others: dict[str, list[Mapping[str, Any]]] = {}
        for rule in stored:
            if rule.get("source") in wanted:
                self._by_source.setdefault(rule["source"], rule)
            elif not rule.get("source"):
                self._others.setdefault(rule["name"], []).append(rule)

    def of(self, rule: AlertRuleFields | RecordingRuleFields) -> Mapping[str, Any] | None:
        """The stored rule that this one of the file is; None where there is none.

        One that comes from no file is taken over, once: that of the same name and query, else the
        only one of the name.
        """
        if rule.source in self._by_source:
            return self._by_source.pop(rule.source)
        others = self._others.get(rule.name, [])
        alike = [one for one in others if one["query"] == rule.query]
        chosen = alike[0] if alike else others[0] if len(others) == 1 else None
        if chosen is not None:
            others.remove(chosen)
        return chosen


def _put(http: httpx.Client, change: _Change) -> str | None:
    """Write a change; what went wrong."""
    if change.kind == "group":
        response = http.put(change.path, json=change.body)
    elif change.stored is None:
        response = http.post(change.path, json=change.body)
    else:
        response = http.put(f"{change.path}/{change.stored['id']}", json=change.body)
    return None if response.status_code in (200, 201) else _problem(response)


def _delete(http: httpx.Client, path: str, stored: Mapping[str, Any]) -> str | None:
    response = http.delete(f"{path}/{stored['id']}")
    return None if response.status_code in (204, 404) else _problem(response)


_DURATIONS = frozenset(
    {"duration", "window", "keepFiringFor", "evaluationDelay", "interval", "queryOffset"}
)


def differs(stored: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a stored rule has other values than a body; one with channels of its own always
    does, since their secrets are hidden."""
    return any(
        _comparable(name, stored.get(name)) != _comparable(name, value)
        for name, value in body.items()
    )


def _comparable(name: str, value: Any) -> Any:
    if name in _DURATIONS and isinstance(value, str):
        return interval_seconds(value)
    if name == "notification":
        channels = [
            channel.get("name") if channel["type"] == "saved" else object()
            for channel in value["channels"]
        ]
        return {**value, "channels": channels}
    return value


def _problem(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _fail(message: str) -> NoReturn:
    typer.echo(f"pulseboard: {message}", err=True)
    raise typer.Exit(1)
