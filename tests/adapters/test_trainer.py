"""The training process beside the assistant: what it is told, what is believed of it, and that it leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from core.adapters.analyst_process import python_environment
from core.adapters.trainer import ProcessTrainer, what_to_train
from core.domain.errors import FirstmateError

MADE = "0123456789ab"


def trainer(script: str, tmp_path: Path, **settings: str) -> ProcessTrainer:
    """A trainer whose command is this script."""
    path = tmp_path / "command.py"
    path.write_text(script)
    return ProcessTrainer(settings, (sys.executable, str(path)))


async def test_the_id_of_the_model_that_was_kept_is_given_back(tmp_path: Path):
    """What the command prints is read for one thing only."""
    one = trainer(f"print('a long card'); print('Kept as {MADE}: `./run models show {MADE}`.')", tmp_path)
    assert await one.train() == MADE


async def test_why_it_failed_is_told_in_the_commands_own_words(tmp_path: Path):
    """The last line it said, without its progress bar and its name."""
    script = (
        "import sys; sys.stderr.write('training 10%\\rtraining 20%\\nfirstmate: too few bars\\x1b[0m\\n'); sys.exit(2)"
    )
    with pytest.raises(FirstmateError) as failed:
        await trainer(script, tmp_path).train()
    assert failed.value.user_text.startswith("too few bars")
    assert "\x1b" not in failed.value.user_text


async def test_a_command_that_names_no_model_made_none(tmp_path: Path):
    """Exit code 0 alone is no model."""
    with pytest.raises(FirstmateError, match="ended with code 0 and named no model"):
        await trainer("print('Kept as nothing')", tmp_path).train()


async def test_a_flood_of_words_is_bounded(tmp_path: Path):
    """A command that prints without end fills no memory, and its last words still count."""
    script = f"for _ in range(60): print('x' * 100_000)\nprint('Kept as {MADE}: x')"
    assert await trainer(script, tmp_path).train() == MADE


async def test_it_inherits_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A token in our environment is none of its business; what to train on is."""
    monkeypatch.setenv("FIRSTMATE_TELEGRAM_TOKEN", "FAKE-TOKEN-for-tests")
    seen = tmp_path / "seen"
    script = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ))); print('Kept as {MADE}: x')"
    await trainer(script, tmp_path, FIRSTMATE_SYMBOLS="BTCUSDT").train()
    assert "FAKE-TOKEN" not in seen.read_text()
    assert "'FIRSTMATE_SYMBOLS': 'BTCUSDT'" in seen.read_text()


async def test_whoever_stops_waiting_leaves_no_process(tmp_path: Path):
    """A cancelled training is gone with what it started before the next word is said."""
    pids = tmp_path / "pids"
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(600)\n"
    )
    waiting = asyncio.create_task(trainer(script, tmp_path).train())
    while not pids.exists():  # noqa: ASYNC110  # another process says when
        await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


@pytest.mark.parametrize("ignored", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)"])
async def test_a_training_ends_with_an_assistant_that_was_killed(tmp_path: Path, ignored: str):
    """Nobody is left to cancel it: it hears that its parent is gone, also where a shell told it to hear no Ctrl-C."""
    pid = tmp_path / "pid"
    (tmp_path / "command.py").write_text(
        f"import os, signal, time\n{ignored}\n"
        "from core.adapters import parent\n"
        "parent.end_with_parent()\n"
        f"open({str(pid)!r} + '.new', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '.new', {str(pid)!r})\n"
        "time.sleep(600)\n"
    )
    assistant = (
        "import asyncio, sys\n"
        "from core.adapters.trainer import ProcessTrainer\n"
        f"asyncio.run(ProcessTrainer({{}}, (sys.executable, {str(tmp_path / 'command.py')!r})).train())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", assistant, env=python_environment())
    while not pid.exists():  # noqa: ASYNC110  # another process says when
        await asyncio.sleep(0.02)
    trained = int(pid.read_text())
    assert alive(trained)
    parent.kill()
    await parent.wait()
    try:
        async with asyncio.timeout(20):
            while alive(trained):  # noqa: ASYNC110  # it is nobody's child here
                await asyncio.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.kill(trained, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_what_to_train_names_bars_and_folder(tmp_path: Path):
    """The nightly training uses the symbols, the bar length and the history of the running assistant."""
    assert what_to_train(tmp_path, "paper", ("BTCUSDT", "ETHUSDT"), "1h", 5000) == {
        "FIRSTMATE_HOME": str(tmp_path),
        "FIRSTMATE_MODE": "paper",
        "FIRSTMATE_SYMBOLS": "BTCUSDT,ETHUSDT",
        "FIRSTMATE_TIMEFRAME": "1h",
        "FIRSTMATE_HISTORY_BARS": "5000",
    }
