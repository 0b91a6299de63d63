"""The pipeline's files: they parse, call what exists, pin what they use and may do little."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit_with_their_version_beside_it(workflow: Path) -> None:
    for line in workflow.read_text(encoding="utf-8").splitlines():
        if "uses:" in line:
            assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d", line), line.strip()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_commands_exist(workflow: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    for step in steps(workflow):
        for called in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", step.get("run", "")):
            assert set(called.split()) <= targets, called
        for script in re.findall(r"\bbash (\S+)", step.get("run", "")):
            assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_least_and_tokens_are_requested_where_roles_are_assumed(
    workflow: Path,
) -> None:
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    for name, job in document["jobs"].items():
        assert job["timeout-minutes"] <= 60, name
        takes_role = any("configure-aws" in step.get("uses", "") for step in job["steps"])
        assert (job.get("permissions", {}).get("id-token") == "write") == takes_role, name
        for step in job["steps"]:
            if "checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False, name
            # What an outsider can write must never become part of a script.
            run = step.get("run", "") + step.get("with", {}).get("script", "")
            assert "${{ github.event" not in run, name


def test_production_follows_staging_in_an_environment_of_its_own() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]
    assert jobs["production"]["needs"] == "staging"
    assert {name: job["environment"] for name, job in jobs.items()} == {
        "staging": "staging",
        "production": "production",
        "rollback": "rollback",
    }


def test_production_gets_the_commit_that_staging_saw_with_the_choices_of_its_environment() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]

    def checked_out(job: str) -> str:
        (step,) = [s for s in jobs[job]["steps"] if "checkout@" in s.get("uses", "")]
        return str(step["with"]["ref"])

    assert jobs["staging"]["outputs"] == {"sha": "${{ steps.commit.outputs.sha }}"}
    assert checked_out("production") == "${{ needs.staging.outputs.sha }}"
    for job in jobs.values():
        assert job["env"]["CONTEXT"] == "${{ vars.CONTEXT }}"


def test_a_rollback_waits_for_nobody_and_takes_only_what_has_served() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]
    assert "needs" not in jobs["rollback"]
    assert jobs["rollback"]["if"].startswith("inputs.rollback")
    assert "!inputs.rollback" in jobs["staging"]["if"]
    commands = [step.get("run", "") for step in jobs["rollback"]["steps"]]
    served = "git merge-base --is-ancestor HEAD refs/tags/deployed-production"
    assert commands.index(served) < commands.index("make rollback STAGE=production")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_pipe_fails_with_its_first_command(workflow: Path) -> None:
    for step in steps(workflow):
        if "|" in step.get("run", "").replace("||", ""):
            # GitHub sets pipefail only where the shell is named.
            assert step["shell"] == "bash", step["run"]


def test_a_failed_deploy_puts_back_what_was_noted_as_deployed() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]
    steps = jobs["production"]["steps"]
    checkout = next(step for step in steps if "checkout@" in step.get("uses", ""))
    assert checkout["with"]["fetch-depth"] == 0, "tags are needed"
    deploy, put_back, note = steps[-3:]
    assert deploy["id"] == "deploy"
    assert "failure()" in put_back["if"]
    assert "steps.deploy.outcome == 'failure'" in put_back["if"]
    tag = "deployed-production"
    assert f"git checkout --quiet refs/tags/{tag}\n" in put_back["run"]
    # Without a condition of its own it runs only when all before it went well.
    assert "if" not in note
    assert f"tags/{tag}" in note["with"]["script"]
    assert jobs["production"]["permissions"]["contents"] == "write"


def test_a_life_of_a_deployment_runs_every_night_from_the_released_version() -> None:
    document = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    assert document[True]["schedule"]
    checkout, *_ = document["jobs"]["life"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0
    ran = [step.get("run", "") for step in document["jobs"]["life"]["steps"]]
    assert any("make life" in command for command in ran)
