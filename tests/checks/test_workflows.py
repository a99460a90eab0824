"""Every workflow runs pinned actions with the fewest rights; what is not so is refused here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
USES = re.compile(r"^\s*(?:-\s+)?[\"']?uses[\"']?\s*:\s*(.*)$", re.M)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def problems(text: str) -> list[str]:
    """What a workflow does that none of ours may do, a sentence each."""
    flow = yaml.safe_load(text)
    found = [
        f"not pinned by commit with its release: {line}" for line in USES.findall(text) if not PINNED.fullmatch(line)
    ]
    said = flow.get("on", flow.get(True))  # YAML reads a bare `on` as true
    if "pull_request_target" in str(said) or "workflow_run" in str(said):
        found.append("foreign code would run with our rights")
    if flow.get("permissions") != {"contents": "read"}:
        found.append("rights are not `contents: read` alone")
    if "concurrency" not in flow:
        found.append("old runs are not called off")
    for name, job in flow["jobs"].items():
        found += [f"{name}: {problem}" for problem in job_problems(job)]
    return found


def job_problems(job: dict[str, object]) -> list[str]:
    found = []
    if "permissions" in job:
        found.append("takes rights of its own")
    if not isinstance(job.get("timeout-minutes"), int):
        found.append("may hang for hours")
    steps = job.get("steps", [])
    assert isinstance(steps, list)
    counted = [step for step in steps if "uses" in step]
    found += [
        "leaves a token on the disk"
        for step in counted
        if step["uses"].startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False
    ]
    found += ["puts a foreign text into a command" for step in steps if "${{" in str(step.get("run", ""))]
    return found


GOOD = WORKFLOWS[0].read_text()
PIN = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_our_workflows_are_pinned_and_have_the_fewest_rights(path: Path):
    """A moved tag, a writing token or a hanging job cannot come in unnoticed."""
    assert problems(path.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PIN, "actions/checkout@v6"),
        (PIN, "actions/checkout@main"),
        (PIN, PIN.split(" ")[0]),
        (PIN, "actions/checkout@de0fac2 # v6.0.2"),
        (PIN, "docker://alpine:3"),
        (PIN, f'"{PIN.split(" ")[0]}"'),
        ("contents: read", "contents: write"),
        ("permissions:\n  contents: read\n", ""),
        ("persist-credentials: false", "persist-credentials: true"),
        ("    timeout-minutes: 60\n", ""),
        ("    timeout-minutes: 60\n", "    timeout-minutes: 60\n    permissions: write-all\n"),
        ("  pull_request:\n", "  pull_request_target:\n"),
        ("run: .ci/run", 'run: echo "${{ github.event.pull_request.title }}"'),
        ("concurrency:", "x-concurrency:"),
    ],
)
def test_what_we_do_not_allow_is_refused(old: str, new: str):
    """Each way of loosening a workflow is seen."""
    loosened = GOOD.replace(old, new, 1)
    assert loosened != GOOD
    assert problems(loosened)


def test_the_checks_run_on_every_python_we_promise():
    """3.11, 3.12 and 3.13 each run what a clean clone must pass."""
    job = yaml.safe_load(GOOD)["jobs"]["checks"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert {"run": ".ci/run"} in job["steps"]


def test_the_vulnerability_check_and_the_history_have_jobs_of_their_own():
    """What needs the network or the whole history runs beside the checks, and can fail on its own."""
    jobs = yaml.safe_load(GOOD)["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert commands["known-vulnerabilities"] == ["./run audit-deps"]
    assert commands["secrets-in-history"] == ["./run secrets --history"]
