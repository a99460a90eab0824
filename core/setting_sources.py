"""Where settings come from: read once into one frozen object, or refused with everything that is wrong.

Rule 1: the first source that has a value wins: the command line, the environment (FIRSTMATE_<FIELD>), `.env` in the
        current folder, `firstmate.toml` in the state folder, the default. An empty variable counts as absent.
Rule 2: what is unknown, misspelt or out of bounds is refused, all of it at once, each in one line that names it, its
        source and what is allowed. Nothing is guessed, nothing is silently cut to fit, and no secret is quoted.
Rule 3: a file of settings that others could have written is refused.
Rule 4: this file is imported by every command, so it stays light: no third-party import unless it is needed.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.adapters.private_file import put_by_others
from core.adapters.redaction import printable
from core.setting_kinds import Kind
from core.settings import MODES, PREFIX, SEALED, SPECS, Settings, SettingsWrong

FILE_NAME = "firstmate.toml"
SHOWN_MAX = 120
NOT_A_CONFIGURATION = frozenset({"home", "log_level"})

Given = dict[str, tuple[str, str]]
"""Field name to (text, where it came from)."""


def load(
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings of this process.

    ``overrides`` come from the command line (``home`` is `--state`, any other name `--name`; None means not given);
    ``folder`` is where `.env` lies, by default the current one. Raises SettingsWrong with every problem found.
    """
    problems: list[str] = []
    given = _from_command_line(overrides or {})
    given |= {
        k: v
        for k, v in _from_environment(os.environ if environ is None else environ, problems).items()
        if k not in given
    }
    given |= {k: v for k, v in _from_dotenv(folder or Path.cwd(), problems).items() if k not in given}
    home = _parse("home", *given["home"], problems) if "home" in given else None
    home = home or _default_home()
    given |= {k: v for k, v in _from_file(home, problems).items() if k not in given}
    values = {name: _parse(name, text, source, problems) for name, (text, source) in given.items() if name != "home"}
    if problems:
        raise SettingsWrong(problems, home)
    configured = bool(given.keys() - NOT_A_CONFIGURATION - _said(overrides or {}))
    values.setdefault("mode", "unset" if configured else "demo")
    return Settings(home=home, configured=configured, **values)


def remember_mode(home: Path, mode: str) -> None:
    """Make ``mode`` the one a plain `./run` uses, in one step, leaving every other line of the file as it was."""
    if mode not in MODES:
        raise SettingsWrong([f"'{mode}' is no mode; allowed: {', '.join(MODES)}."])
    path = home / FILE_NAME
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in old if line.split("=", 1)[0].strip() != "mode"]
    beside = path.with_suffix(f".{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write("\n".join([f'mode = "{mode}"', *kept]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _said(overrides: Mapping[str, str | None]) -> set[str]:
    return {name for name, text in overrides.items() if text is not None}


def _from_command_line(overrides: Mapping[str, str | None]) -> Given:
    option = {"home": "--state"}
    return {k: (v, option.get(k, f"--{k.replace('_', '-')}")) for k, v in overrides.items() if v is not None}


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Given:
    return _from_variables(environ, "the environment", problems)


def _from_dotenv(folder: Path, problems: list[str]) -> Given:
    path = folder / ".env"
    if not path.is_file() or _foreign(path, problems):
        return {}
    from dotenv.parser import parse_stream  # dotenv_values only logs the lines it cannot read

    try:
        with path.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read: {error}.")
        return {}
    problems += [f"{path}, line {line.original.line}: not of the form NAME=value." for line in lines if line.error]
    return _from_variables({line.key: line.value or "" for line in lines if line.key}, str(path), problems)


def _from_variables(variables: Mapping[str, str], source: str, problems: list[str]) -> Given:
    given: Given = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in SPECS and variable == PREFIX + name.upper():
            if text.strip():
                given[name] = (text.strip(), source)
        else:
            problems.append(_unknown(variable, source, [PREFIX + known.upper() for known in SPECS]))
    return given


def _from_file(home: Path, problems: list[str]) -> Given:
    path = home / FILE_NAME
    if not path.is_file() or _foreign(path, problems):
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        problems.append(f"{path} cannot be read: {_shown(error)}.")
        return {}
    known = [name for name in SPECS if name != "home"]
    problems += [_unknown(name, str(path), known) for name in table if name not in known]
    return {name: (_text(value), str(path)) for name, value in table.items() if name in known}


def _foreign(path: Path, problems: list[str]) -> bool:
    """Whether others could have written this file: it says whom the bot obeys and where the token goes."""
    seen = path.stat()
    if seen.st_mode & stat.S_IWOTH or put_by_others(path, seen):
        problems.append(f"{path} may come from somebody else: look at it, then `chown $USER` and `chmod 600` it.")
        return True
    return False


def _shown(text: object) -> str:
    """What somebody wrote, as far as it fits a line."""
    plain = printable(str(text))
    return plain if len(plain) <= SHOWN_MAX else f"{plain[:SHOWN_MAX]}…"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _unknown(name: str, source: str, known: list[str]) -> str:
    import difflib

    if name.removeprefix(PREFIX).lower() in SEALED:
        return (
            f"{name} (from {source}) is kept in the vault now: take it out of there, then give it to"
            " `./run keys set exchange-testnet` or `exchange-live`."
        )
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "see .env.example for the names there are."
    return f"{_shown(name)} (from {source}) is not a setting; {hint}"


def _parse(name: str, text: str, source: str, problems: list[str]) -> Any:
    kind: Kind = SPECS[name].metadata["kind"]
    try:
        return kind.parse(text)
    except ValueError as error:
        shown = "its value (not shown)" if kind.hidden else f"'{_shown(text)}'"
        why = f" ({_shown(error)})" if str(error) and not kind.hidden else ""
        label = source if source.startswith("--") else f"{PREFIX}{name.upper()} (from {source})"
        problems.append(f"{label}: {shown} is not usable{why}; allowed: {kind.allowed()}.")
        return None


def _default_home() -> Path:
    from platformdirs import user_data_dir

    return Path(user_data_dir("firstmate", appauthor=False))
