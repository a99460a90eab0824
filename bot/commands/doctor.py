"""`firstmate doctor`: what this machine and these settings lack, each with its fix.

Rule 1: it changes nothing and reaches for no network.
Rule 2: a check gives one of three verdicts: OK; WARN, the assistant runs but something is worse than it could be;
        FAIL, it will not run. Only FAIL makes the exit code 1.
Rule 3: a secret is told as present or absent, never shown.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import stat
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from core.adapters.folders import TRADING_MODES
from core.adapters.owner import owner_of
from core.domain.errors import FirstmateError, StoreUnusable
from core.mode_needs import KEY_RECORDS, require_runnable
from core.settings import Settings, SettingsWrong

ROOT = Path(__file__).resolve().parents[2]
FREE_MB_WARN, FREE_MB_FAIL = 1_000, 100
BUILT_S = 1_735_689_600  # 2025-01-01: no clock that is right shows less
FUTURE_S = 300


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table; ``fix`` is empty when there is nothing to mend."""

    name: str
    verdict: Literal["OK", "WARN", "FAIL"]
    found: str
    fix: str = ""


def main(args: Namespace, settings: Settings) -> int:
    """Print the table (or JSON); 1 when anything fails, else 0."""
    checks = list(examine(settings, args.problems))
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print(table(checks))
    return 1 if any(check.verdict == "FAIL" for check in checks) else 0


def table(checks: list[Check]) -> str:
    """The checks as text, each fix under its line, and a closing sentence."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.verdict:4}  {check.name:{width}}  {check.found}")
        if check.fix:
            lines.append(f"{'':4}  {'':{width}}  fix: {check.fix}")
    bad = list(dict.fromkeys(check.name for check in checks if check.verdict == "FAIL"))
    lines.append("\n" + (f"To mend first: {', '.join(bad)}." if bad else "Nothing stands in the way of a start."))
    return "\n".join(lines)


def examine(settings: Settings, problems: list[str]) -> Iterator[Check]:
    """Every check of this machine under these settings; ``problems`` are the settings that could not be used."""
    yield python_version(sys.version_info[:3])
    yield packages(ROOT, Path(sys.prefix))
    yield openmp()
    if settings.mode == "live" and settings.telegram_token:
        yield token_in_clear()
    settings, opened = vault(settings)
    yield opened
    if opened.verdict == "OK" or problems or settings.mode not in TRADING_MODES:
        yield from settings_valid(settings, problems)
    else:
        yield settings_known(settings)
    if opened.verdict == "OK" and settings.mode == "live":
        yield leave(settings)
    yield dotenv_private(Path.cwd() / ".env")
    yield state_folder(settings.home)
    yield disk_space(settings.home)
    yield from databases(settings.home)
    yield running(settings.home)
    yield clock(settings.home, time.time())
    yield zone(settings.time_zone)
    yield terminal()


def python_version(version: tuple[int, ...]) -> Check:
    found = f"Python {'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if (3, 11) <= version[:2] <= (3, 13):
        return Check("python", "OK", found)
    return Check("python", "FAIL", found, "install Python 3.11, 3.12 or 3.13, remove .venv and start ./run again")


def packages(root: Path, prefix: Path) -> Check:
    """Whether what is installed is what the lock says."""
    lock, stamp = root / "requirements.lock", prefix / "installed-requirements.lock"
    if not lock.is_file():
        return Check("packages", "OK", "installed as a package")
    if not stamp.is_file():
        return Check(
            "packages", "WARN", f"{prefix} was not installed by ./run", "start by ./run to get the locked ones"
        )
    if stamp.read_text(encoding="utf-8").split("\n")[0] != hashlib.sha256(lock.read_bytes()).hexdigest():
        return Check("packages", "WARN", "requirements.lock changed since the installation", "start by ./run")
    return Check("packages", "OK", "as requirements.lock says")


def openmp() -> Check:
    """The system library the learned model needs (LightGBM)."""
    mac = sys.platform == "darwin"
    name = "libomp.dylib" if mac else "libgomp.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        fix = "brew install libomp" if mac else "apt install libgomp1"
        return Check("openmp", "WARN", f"{name} is missing: no model can be trained or asked", fix)
    return Check("openmp", "OK", name)


def vault(settings: Settings) -> tuple[Settings, Check]:
    """The settings with what the vault holds for their mode, and how it stands; nobody is asked for a passphrase."""
    from bot.credentials import armed, on_the_way_to_live
    from core.adapters.vault import exists, open_vault, unlock_here

    try:
        found = open_vault(settings.home, unlock_here()) if exists(settings.home) else None
        records = ", ".join(one.record for one in found.records()) if found else ""
        ready = (on_the_way_to_live if settings.mode == "live" else armed)(settings, found)
        return ready, Check("vault", "OK", f"holds {records or 'nothing'}" if found else "none yet")
    except StoreUnusable as error:
        return settings, Check("vault", "FAIL", "it is not as it was closed", error.user_text)
    except FirstmateError as error:
        closed = "locked here or gone, so token and keys cannot be looked at"
        return settings, Check("vault", "WARN", closed, error.user_text)


def token_in_clear() -> Check:
    """Beside real money the token lies in the vault alone."""
    fix = "`./run keys set telegram`, then remove FIRSTMATE_TELEGRAM_TOKEN from .env and the environment"
    return Check("token", "FAIL", "mode live takes the bot's token from the vault alone", fix)


def settings_known(settings: Settings) -> Check:
    """What can be told of the settings while the vault is closed: the mode, and whether anybody is obeyed."""
    pairs = f"{len(settings.symbols)} symbols at {settings.timeframe}"
    found = f"mode {settings.mode}, {pairs}; token and keys lie in the locked vault"
    if owner_of(settings) is None:
        return Check("settings", "FAIL", found, "`./run pair` binds the Telegram account that is obeyed")
    return Check("settings", "OK", found)


def settings_valid(settings: Settings, problems: list[str]) -> Iterator[Check]:
    """Settings that were refused, or the mode they lead to and whether it could start."""
    if problems:
        for problem in problems:
            yield Check("settings", "FAIL", problem, "see .env.example for names and bounds")
        return
    token = "present" if settings.telegram_token else "absent"
    key = "present" if settings.api_key and settings.api_secret else "absent"
    accounts = f", exchange key {key}" if settings.mode in KEY_RECORDS else ""
    pairs = f"{len(settings.symbols)} symbols at {settings.timeframe}"
    found = f"mode {settings.mode}, bot token {token}{accounts}, {pairs}"
    try:
        require_runnable(settings)
    except SettingsWrong as error:
        yield Check("settings", "FAIL", found, " ".join(error.lines))
        return
    yield Check("settings", "OK", found if settings.configured else f"{found} (nothing configured: the demo)")


def leave(settings: Settings) -> Check:
    """Whether the owner allowed real money for the key that is set."""
    from core.adapters import permits

    key = settings.api_key.reveal() if settings.api_key else ""
    fault, _, fix = permits.permit_fault(settings.home, key).partition(": ")
    if fault:
        return Check("leave", "FAIL", fault, fix)
    given = permits.permit(settings.home)
    return Check("leave", "OK", f"real money allowed by {given.by} on {given.at:%Y-%m-%d}" if given else "")


def dotenv_private(path: Path) -> Check:
    if not path.is_file():
        return Check("secrets", "OK", "no .env here")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check("secrets", "WARN", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    return Check("secrets", "OK", f"{path} is private")


def state_folder(home: Path) -> Check:
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            "state", "FAIL", f"{existing} cannot be written", "give another folder by --state or FIRSTMATE_HOME"
        )
    if existing != home:
        return Check("state", "OK", f"{home} (made at the first start)")
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        return Check("state", "WARN", f"{home} can be read by others (mode {mode:o})", f"chmod 700 {home}")
    return Check("state", "OK", str(home))


def disk_space(home: Path) -> Check:
    existing = next(path for path in (home, *home.parents) if path.exists())
    free_mb = shutil.disk_usage(existing).free // 1_000_000
    fix = "free some space, or give a folder on another disk by --state"
    if free_mb < FREE_MB_FAIL:
        return Check("disk", "FAIL", f"{free_mb} MB free", fix)
    if free_mb < FREE_MB_WARN:
        return Check("disk", "WARN", f"{free_mb} MB free", fix)
    return Check("disk", "OK", f"{free_mb / 1000:.1f} GB free")


def databases(home: Path) -> Iterator[Check]:
    """Whether each database of each mode is whole and of this version."""
    from core.adapters.folders import FAMILIES, folder_of, modes_in

    found = [
        (f"{mode}/{name}", folder_of(home, mode) / name, family)
        for mode in modes_in(home)
        for family, name in FAMILIES.items()
    ]
    if not found:
        yield Check("database", "OK", "none yet")
    for name, path, family in found:
        yield database(name, path, family) if path.is_file() else Check("database", "OK", f"{name}: none yet")


def database(name: str, path: Path, family: str) -> Check:
    from core.adapters.migrate import check_current

    try:
        check_current(path, family)
    except (FirstmateError, sqlite3.Error) as error:
        return Check("database", "FAIL", f"{name} cannot be used", str(error))
    return Check("database", "OK", f"{name}: up to date, {path.stat().st_size / 1e6:.1f} MB")


def running(home: Path) -> Check:
    from core.adapters.statelock import holder

    pid = holder(home)
    return Check("assistant", "OK", f"running as process {pid}" if pid else "not running")


def clock(home: Path, now_s: float) -> Check:
    """Whether the time can be right: not before this version was made, not before what was written last."""
    fix = "set the clock (timedatectl set-ntp true): the exchange refuses orders that are a second off"
    if now_s < BUILT_S:
        return Check("clock", "FAIL", f"it shows {_utc(now_s)}, which is before this version was made", fix)
    newest = max((path.stat().st_mtime for level in ("*", "*/*") for path in home.glob(level)), default=0.0)
    if newest > now_s + FUTURE_S:
        return Check("clock", "WARN", f"it shows {_utc(now_s)}, but state was written at {_utc(newest)}", fix)
    return Check("clock", "OK", _utc(now_s))


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def zone(name: str) -> Check:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return Check("time zone", "FAIL", f"{name} is not known here", "apt install tzdata")
    return Check("time zone", "OK", name)


def terminal() -> Check:
    encoding = (sys.stdout.encoding or "unknown").lower()
    size = shutil.get_terminal_size()
    found = f"{encoding}, {size.columns} columns" if sys.stdout.isatty() else f"{encoding}, not a terminal"
    if encoding.replace("-", "") != "utf8":
        return Check("terminal", "WARN", found, "export PYTHONUTF8=1")
    return Check("terminal", "OK", found)
