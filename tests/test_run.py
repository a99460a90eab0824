"""The front door: installs once, repairs itself, becomes the command, and says in one sentence what is missing."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = "import os, sys\n\ndef main():\n    print(os.getpid(), *sys.argv[1:])\n    return 7\n"
FAKE_UV = f"""#!{sys.executable}
import os, subprocess, sys, time
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    sys.exit(subprocess.call([sys.executable, "-m", "venv", "--without-pip", sys.argv[-1]]))
said = os.environ.get("FAKE_SAYS", "")
time.sleep(float(os.environ.get("FAKE_TAKES_S", "0")))
print(said, file=sys.stderr)
sys.exit(2 if said else 0)
"""
FAKE_PIP = """
import os, sys
if os.environ.get("FAKE_PIP") == "system" and "it s here" in sys.prefix:
    sys.exit("No module named pip")
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write("pip " + " ".join(sys.argv[1:]) + "\\n")
"""
BLOCK = """
import os, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in os.environ.get("FAKE_MISSING", "").split(","):
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Missing())
"""


def load(path: Path) -> ModuleType:
    """The front door of one folder as a module."""
    loader = importlib.machinery.SourceFileLoader("front_door", str(path))
    spec = importlib.util.spec_from_loader("front_door", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@dataclass
class Checkout:
    """A copy of the front door with tiny locks, a stand-in for uv or pip, and a command that prints its arguments."""

    root: Path
    env: dict[str, str]

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, str(self.root / "run"), *argv]

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv), env={**self.env, **env}, capture_output=True, text=True, check=False, timeout=60
        )

    def log(self) -> list[str]:
        path = Path(self.env["FAKE_LOG"])
        return path.read_text().splitlines() if path.exists() else []


def checkout(folder: Path) -> Checkout:
    root, tools, modules = folder / "it s here", folder / "tools", folder / "modules"
    (root / "bot").mkdir(parents=True)
    tools.mkdir()
    (modules / "pip").mkdir(parents=True)
    (modules / "pip" / "__init__.py").touch()
    (modules / "pip" / "__main__.py").write_text(FAKE_PIP)
    (modules / "sitecustomize.py").write_text(BLOCK)
    shutil.copy(ROOT / "run", root / "run")
    (root / "bot" / "cli.py").write_text(SCRIPT)
    (root / "requirements.lock").write_text(
        "setuptools==84 \\\n    --hash=sha256:aa\nother==1 \\\n    --hash=sha256:bb\n"
    )
    (root / "requirements-dev.lock").write_text("dev==1 \\\n    --hash=sha256:cc\n")
    env = {"PATH": str(tools), "PYTHONPATH": str(modules), "FAKE_LOG": str(folder / "log"), "HOME": str(folder)}
    return Checkout(root, {**env, "FAKE_MISSING": "ensurepip,pip"})


@pytest.fixture
def with_uv(tmp_path: Path) -> Checkout:
    """A machine where uv is on PATH."""
    made = checkout(tmp_path)
    (tmp_path / "tools" / "uv").write_text(FAKE_UV)
    (tmp_path / "tools" / "uv").chmod(0o755)
    return made


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    """A machine with nothing but python3: no uv, no ensurepip; its pip is a stand-in."""
    made = checkout(tmp_path)
    made.env["FAKE_MISSING"] = "ensurepip"
    return made


def test_the_first_start_installs_and_becomes_the_command(with_uv: Checkout):
    """One command makes everything and hands over arguments and exit code."""
    done = with_uv.run("status", "--json")
    assert (done.returncode, done.stdout.split()[1:]) == (7, ["status", "--json"])
    assert [line.split()[:2] for line in with_uv.log()] == [["venv", "--quiet"], ["pip", "install"], ["pip", "install"]]
    assert all("--require-hashes" in line for line in with_uv.log()[1:])


def test_an_unchanged_lock_installs_nothing(with_uv: Checkout):
    """The second start goes straight to the command and says nothing of its own."""
    with_uv.run()
    before = with_uv.log()
    done = with_uv.run("x")
    assert (done.returncode, done.stderr, with_uv.log()) == (7, "", before)


def test_a_changed_lock_is_installed_into_the_same_environment(with_uv: Checkout):
    """After an update only the packages are brought forward."""
    with_uv.run()
    with (with_uv.root / "requirements.lock").open("a") as lock:
        lock.write("new==1 \\\n    --hash=sha256:dd\n")
    done = with_uv.run()
    assert done.returncode == 7
    assert [line.split()[0] for line in with_uv.log()] == ["venv", "pip", "pip", "pip", "pip"]


def test_tests_and_checks_need_the_second_lock_too(with_uv: Checkout):
    """What only development needs is installed only for development."""
    with_uv.run()
    assert not any("requirements-dev.lock" in line for line in with_uv.log())
    with_uv.run("test")
    assert "requirements-dev.lock" in with_uv.log()[-1]
    before = with_uv.log()
    with_uv.run("check")
    with_uv.run("campaign")
    assert with_uv.log() == before


def test_the_command_is_the_same_process(with_uv: Checkout):
    """Signals reach the assistant itself, there is no shell in between."""
    with_uv.run()
    with subprocess.Popen(with_uv.command(), env=with_uv.env, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=60)
    assert int(out) == process.pid


def test_a_process_that_works_for_the_command_does_not_begin_it_anew(with_uv: Checkout):
    """Training starts such processes, and each of them reads the command's file first."""
    with_uv.run()
    spawns = (
        "import multiprocessing, os, sys\n\ndef main():\n"
        "    child = multiprocessing.get_context('spawn').Process(target=os.getpid)\n"
        "    child.start()\n    child.join()\n    return child.exitcode\n"
    )
    (with_uv.root / "bot" / "cli.py").write_text(spawns)
    done = with_uv.run("train")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_can_be_started_from_any_folder_and_through_a_link(with_uv: Checkout, tmp_path: Path):
    """A link in ~/bin works, and relative paths in arguments stay the user's."""
    link = tmp_path / "firstmate"
    link.symlink_to(with_uv.root / "run")
    command = [sys.executable, str(link), "x"]
    done = subprocess.run(command, env=with_uv.env, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 7


def test_two_starts_at_once_install_once(with_uv: Checkout):
    """A service and a person starting together do not write into each other's files."""
    slow = {**with_uv.env, "FAKE_TAKES_S": "0.3"}
    both = [subprocess.Popen(with_uv.command(), env=slow, stdout=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [7, 7]
    assert len(with_uv.log()) == 3


def test_an_installer_that_outlives_a_killed_start_is_waited_for(with_uv: Checkout):
    """kill -9 on ./run does not let the next one write into the same folder at the same time."""
    first = subprocess.Popen(with_uv.command(), env={**with_uv.env, "FAKE_TAKES_S": "1.5"}, stderr=subprocess.DEVNULL)
    while not any(line.startswith("pip") for line in with_uv.log()):
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.wait()
    done = with_uv.run()
    assert done.returncode == 7
    assert "waiting for it" in done.stderr


def test_a_half_made_environment_is_made_anew(with_uv: Checkout):
    """An installation that broke off leaves nothing to stumble over."""
    assert with_uv.run(FAKE_SAYS="killed in the middle").returncode == 1
    left = with_uv.root / ".venv" / "half"
    left.touch()
    assert with_uv.run().returncode == 7
    assert not left.exists()


def test_a_moved_project_is_installed_again(with_uv: Checkout, tmp_path: Path):
    """Moving the folder does not leave a command that looks for the old place."""
    with_uv.run()
    moved = with_uv.root.rename(tmp_path / "elsewhere")
    again = Checkout(moved, with_uv.env)
    assert again.run("x").returncode == 7
    assert str(moved) in (moved / ".venv" / "bin" / "firstmate").read_text()


@pytest.mark.parametrize(
    ("said", "code", "named"),
    [
        ("error: No space left on device (os error 28)", 4, "The disk is full"),
        ("error: Failed to fetch: dns error", 5, "check the network"),
        ("hash mismatch for other", 1, "not the one the lock names"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(with_uv: Checkout, said: str, code: int, named: str):
    """A full disk, no network and a wrong download each say what to do."""
    done = with_uv.run(FAKE_SAYS=said)
    assert (done.returncode, named in done.stderr.splitlines()[-1], "Traceback" in done.stderr) == (code, True, False)
    assert (with_uv.root / ".venv").exists() == (code != 4)  # a full disk gets its room back


def test_where_uv_fails_pip_is_tried(with_uv: Checkout):
    """A uv that does not know this network's mirror does not stop a pip that does."""
    done = with_uv.run("x", FAKE_SAYS="error: Failed to fetch", FAKE_MISSING="ensurepip")
    assert done.returncode == 7
    assert [line.split()[:2] for line in with_uv.log()][-2:] == [["pip", "install"], ["pip", "install"]]


def test_an_unknown_failure_shows_the_last_words(with_uv: Checkout):
    """What nobody foresaw is at least shown."""
    done = with_uv.run(FAKE_SAYS="gremlins in the wheel")
    assert done.returncode == 1
    assert "    gremlins in the wheel" in done.stderr.splitlines()


def test_without_ensurepip_the_systems_pip_fills_the_environment(bare: Checkout):
    """Debian's python3 without python3-venv is enough where pip is there."""
    done = bare.run("x", FAKE_PIP="system")
    assert done.returncode == 7
    installs = [line for line in bare.log() if " install " in line]
    assert len(installs) == 2
    assert all(line.startswith("pip --python ") and "--require-hashes" in line for line in installs)


def test_without_any_pip_one_sentence_says_what_to_install(bare: Checkout):
    """No pip at all is mended by one package of the system."""
    done = bare.run("x", FAKE_MISSING="ensurepip,pip")
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr.splitlines()[-1]


def test_an_old_python_gets_one_sentence():
    """Python 3.10 and 3.14 are told which ones fit; 3.11 to 3.13 are not bothered."""
    door = load(ROOT / "run")
    assert [bool(door.python_problem((3, minor, 0))) for minor in (6, 10, 11, 12, 13, 14)] == [
        True,
        True,
        False,
        False,
        False,
        True,
    ]
    assert "\n" not in door.python_problem((3, 9))


def test_an_old_python_can_read_the_file():
    """Python 3.6 understands enough of the file to say that it is too old."""
    ast.parse((ROOT / "run").read_text(), feature_version=(3, 6))


def test_the_front_door_needs_only_the_standard_library():
    """Nothing has to be installed before the installation."""
    tree = ast.parse((ROOT / "run").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)


def test_a_disk_that_is_full_while_we_write_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Not only pip can meet the end of the disk."""
    door = load(ROOT / "run")

    def full(argv: list[str]) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(door, "go", full)
    assert door.main([]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_check_runs_every_step_and_names_what_failed(with_uv: Checkout):
    """One failing step hides none of the others."""
    door = load(with_uv.root / "run")
    python = Path(door.PYTHON)
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\ncase "$*" in "-m mypy"*|"-m pytest"*) exit 1;; esac\n')
    python.chmod(0o755)
    for lock in (door.BASE_LOCK, door.DEV_LOCK):
        Path(door.stamp_path(lock)).write_text(door.stamp_text(lock))
    done = with_uv.run("check")
    assert done.returncode == 1
    assert re.findall(r"^== (\w+):", done.stdout, re.M)[:-1] == [
        "Format",
        "Lint",
        "Types",
        "Rooms",
        "Bandit",
        "Secrets",
        "Tests",
    ]
    assert done.stdout.splitlines()[-1] == "== Failed: Types, Tests"


@pytest.fixture
def installed(with_uv: Checkout) -> Checkout:
    """A checkout whose .venv is in step and whose Python says what it was started with."""
    door = load(with_uv.root / "run")
    python = Path(door.PYTHON)
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\n')
    python.chmod(0o755)
    for lock in (door.BASE_LOCK, door.DEV_LOCK):
        Path(door.stamp_path(lock)).write_text(door.stamp_text(lock))
    return with_uv


@pytest.mark.parametrize(
    ("typed", "ran"),
    [
        (["campaign", "--seeds", "9"], "-m tests.campaign --seeds 9"),
        (["secrets", "--history"], "-m tests.checks.secretscan --history"),
        (["audit-deps", "-s", "osv"], "-m tests.checks.auditdeps -s osv"),
    ],
)
def test_a_developers_word_becomes_its_program_with_its_flags(installed: Checkout, typed: list[str], ran: str):
    """The long form of the tests, the secret scan and the vulnerability check are one word away."""
    assert installed.run(*typed).stdout == f"ran {ran}\n"


def test_lock_becomes_the_script_that_rewrites_the_locks(installed: Checkout):
    """Rewriting the locks needs no .venv that is in step with the old ones."""
    (installed.root / ".ci").mkdir()
    (installed.root / ".ci" / "lock").write_text('#!/bin/sh\necho "locking $*"\n')
    (installed.root / ".ci" / "lock").chmod(0o755)
    shutil.rmtree(installed.root / ".venv")
    assert installed.run("lock", "--upgrade").stdout == "locking --upgrade\n"
    assert installed.log() == []


def test_a_bill_of_materials_needs_a_file_to_write(installed: Checkout):
    """Without a name one sentence says what to type."""
    done = installed.run("sbom")
    assert (done.returncode, "./run sbom FILE.json" in done.stderr, done.stdout) == (2, True, "")


def test_the_bill_of_materials_names_every_package_and_is_the_same_each_time(tmp_path: Path):
    """`./run sbom` writes what the base lock installs, as CycloneDX JSON, byte for byte the same from the same lock."""
    door = load(ROOT / "run")
    bills = [tmp_path / "one.json", tmp_path / "two.json"]
    for bill in bills:
        subprocess.run([sys.executable, *door.sbom_words([str(bill)])], check=True, capture_output=True)
    bill = json.loads(bills[0].read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert {part["name"] for part in bill["components"]} == set(entries("requirements.lock"))
    assert all(part["purl"].endswith("@" + part["version"]) for part in bill["components"])
    assert bills[0].read_bytes() == bills[1].read_bytes()


def test_only_wheels_are_installed(with_uv: Checkout):
    """No package's own code runs while it is installed, save the named one that has no wheel."""
    with_uv.run()
    first, second = with_uv.log()[1:]
    assert "--only-binary :all:" in first
    assert "--no-binary" not in first
    assert "--only-binary :all: --no-binary ta " in second


def entries(name: str) -> dict[str, str]:
    """Package name to its lines, of one of the project's locks."""
    blocks = re.findall(r"^\S.*(?:\n[ \t]+\S.*)*", (ROOT / name).read_text(), re.M)
    return {block.split("==")[0]: block for block in blocks}


def test_the_locks_pin_and_hash_everything_and_name_no_index():
    """What is installed is the same everywhere, and where it comes from is the machine's own business."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert not re.search(r"^-", text, re.M)
        assert all(re.search(r"==\S+", block) and "--hash=sha256:" in block for block in entries(name).values())


def test_the_locks_cover_what_the_project_asks_for():
    """A dependency added without its lock is found here, not on the owner's machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(wanted: list[str]) -> set[str]:
        return {re.split(r"[<>=! ]", line)[0].lower().replace("_", "-") for line in wanted}

    base = entries("requirements.lock").keys()
    assert names(project["dependencies"]) <= base
    assert names(project["optional-dependencies"]["dev"]) <= base | entries("requirements-dev.lock").keys()


def test_the_front_door_can_be_executed():
    """`./run` needs no `python3` in front of it."""
    assert os.access(ROOT / "run", os.X_OK)
