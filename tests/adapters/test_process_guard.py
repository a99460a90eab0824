"""A process that holds keys leaves no copy of its memory anywhere."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl and /proc are Linux's")
SEAL = "from core.adapters.process_guard import seal; assert seal()\n"
DIE = "import os; os.abort()\n"


def python(code: str, folder: Path, *, cores: bool = False) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process of its own that stands in ``folder``, allowed to leave cores where asked for."""

    def allow() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard if cores else 0, hard))

    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        preexec_fn=allow,
        capture_output=True,
        text=True,
        check=False,
    )


def leaves_cores(folder: Path) -> bool:
    """Whether a process that aborts leaves a core here, as far as this machine can show it."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    if not pattern.exists() or pattern.read_text().startswith(("|", "/")):
        return False
    python(DIE, folder, cores=True)
    return any(folder.iterdir())


@LINUX
def test_a_sealed_process_that_aborts_leaves_no_core(tmp_path: Path):
    """Where an unsealed one leaves its memory on the disk, a sealed one leaves nothing."""
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.mkdir()
    sealed.mkdir()
    if not leaves_cores(plain):
        pytest.skip("this machine writes no core files where the process stands")
    assert python(SEAL + DIE, sealed, cores=True).returncode == -signal.SIGABRT
    assert list(sealed.iterdir()) == []


@LINUX
def test_the_limit_is_zero_for_the_process_and_what_it_starts(tmp_path: Path):
    """Neither the program nor its workers may raise it again."""
    show = "import subprocess; subprocess.run(['cat', '/proc/self/limits'])"
    done = python(SEAL + "print(open('/proc/self/limits').read(), flush=True)\n" + show, tmp_path, cores=True)
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("Max core file size")]
    assert [line[4:6] for line in found] == [["0", "0"]] * 2


@LINUX
def test_no_other_process_of_the_same_user_may_look_inside(tmp_path: Path):
    """The files in /proc that show memory and environment belong to root once sealed."""
    show = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    assert python(show, tmp_path).stdout == "1\n"
    assert python(SEAL + show, tmp_path).stdout == "0\n"


@LINUX
def test_a_sealed_process_still_starts_others(tmp_path: Path):
    """Pictures and training run in processes of their own."""
    code = SEAL + "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(5)']).returncode)"
    assert python(code, tmp_path).stdout.split() == ["5", "0"]


@LINUX
def test_the_program_seals_itself_before_it_reads_anything(tmp_path: Path):
    """`firstmate` started as a program is sealed before its first word."""
    code = (
        "import ctypes, sys, bot.cli\n"
        "def look(argv): print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); sys.exit(0)\n"
        "bot.cli.parse = look; bot.cli.main()"
    )
    assert python(code, tmp_path).stdout == "0\n"
