"""Pictures come from a process of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bot.pictures import PictureFailed, Pictures
from bot.views.chartspec import Candle, ChartSpec

SPEC = ChartSpec("X", (Candle(0, 1.0, 2.0, 0.5, 1.5, 10.0),), 2)


def worker(code: str) -> tuple[str, ...]:
    """A stand-in drawing process that runs ``code``."""
    return (sys.executable, "-c", code)


def gone(pid_file: Path) -> bool:
    """Whether the process that wrote its id there has ended, or never came so far."""
    return not pid_file.exists() or not Path(f"/proc/{pid_file.read_text()}").exists()


async def test_a_chart_becomes_a_png() -> None:
    """The whole way: spec out, process, picture back."""
    assert (await Pictures().draw(SPEC)).startswith(b"\x89PNG\r\n\x1a\n")


def test_the_resident_process_holds_no_drawing_library_after_a_picture() -> None:
    """Memory for pictures is paid while one is drawn and given back."""
    code = (
        "import asyncio, sys\n"
        "from bot.pictures import Pictures\n"
        "from bot.views.chartspec import Candle, ChartSpec\n"
        "spec = ChartSpec('X', (Candle(0, 1.0, 2.0, 0.5, 1.5, 10.0),), 2)\n"
        "assert asyncio.run(Pictures().draw(spec))\n"
        "sys.exit(any(name.split('.')[0] in {'PIL', 'numpy'} for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_worker_that_hangs_is_killed_and_said_so(tmp_path: Path) -> None:
    """No picture in time means text alone, and no process left behind."""
    pid_file = tmp_path / "pid"
    code = f"import os, time, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    with pytest.raises(PictureFailed, match="not ready"):
        await Pictures(worker=worker(code)).draw(SPEC, timeout_s=1.0)
    assert gone(pid_file)


async def test_a_worker_that_dies_is_an_error_not_a_wait() -> None:
    """Killed from outside, for want of memory say: the caller hears it at once."""
    with pytest.raises(PictureFailed, match="exit -9"):
        await Pictures(worker=worker("import os; os.kill(os.getpid(), 9)")).draw(SPEC)


@pytest.mark.parametrize("code", ["print('not a picture')", "raise SystemExit('no room')"])
async def test_anything_but_a_picture_is_refused(code: str) -> None:
    """Only a PNG goes to the phone."""
    with pytest.raises(PictureFailed):
        await Pictures(worker=worker(code)).draw(SPEC)


async def test_a_worker_that_cannot_start_is_an_error() -> None:
    """A missing program is one line, not a traceback."""
    with pytest.raises(PictureFailed, match="did not start"):
        await Pictures(worker=("/nowhere/python",)).draw(SPEC)


async def test_more_pictures_than_may_wait_are_refused_at_once() -> None:
    """A flood of cards costs bounded memory; the surplus goes out as text."""
    pictures = Pictures(waiting_max=1, worker=worker("import time; time.sleep(600)"))
    asked = [asyncio.create_task(pictures.draw(SPEC, timeout_s=0.8)) for _ in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted("waiting" in str(answer) for answer in answers) == [False, False, True, True]


async def test_the_next_picture_is_drawn_after_one_failed(tmp_path: Path) -> None:
    """One bad picture does not end all pictures."""
    once = tmp_path / "once"
    code = (
        f"import os, sys; first = not os.path.exists({str(once)!r}); open({str(once)!r}, 'w').close()\n"
        "if first: sys.exit(1)\n"
        "sys.stdout.buffer.write(b'\\x89PNG\\r\\n\\x1a\\n')"
    )
    pictures = Pictures(worker=worker(code))
    with pytest.raises(PictureFailed):
        await pictures.draw(SPEC)
    assert await pictures.draw(SPEC)


async def test_the_worker_inherits_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing process has no business with secrets."""
    monkeypatch.setenv("FIRSTMATE_TELEGRAM_TOKEN", "FAKE-TOKEN-for-tests")
    code = "import os, sys; sys.exit('; '.join(v for v in os.environ.values() if 'FAKE' in v) or 'clean')"
    with pytest.raises(PictureFailed, match="clean"):
        await Pictures(worker=worker(code)).draw(SPEC)
