"""Every setting, declared once and read once into one frozen object.

Rule 1: the first source that has a value wins: the command line, the environment (FIRSTMATE_<FIELD>), `.env` in the
        current folder, `firstmate.toml` in the state folder, the default. An empty variable counts as absent.
Rule 2: what is unknown, misspelt or out of bounds is refused, all of it at once, each in one line that names it, its
        source and what is allowed. Nothing is guessed and nothing is silently cut to fit.
Rule 3: a secret is a Secret: it prints as stars and no message quotes it. The exchange's keys are no settings: they
        come from the vault.
Rule 4: a file of settings that others could have written is refused.
Rule 5: this file is imported by every command, so it stays light: no third-party import unless it is needed.

`python -m core.settings` prints `.env.example`.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.adapters.private_file import put_by_others
from core.domain.errors import NeedsOwner
from core.setting_kinds import (
    Choice,
    Folder,
    Hours,
    Kind,
    Number,
    Secret,
    Symbols,
    Token,
    Url,
    Whole,
    Zone,
    is_loopback,
)

PREFIX = "FIRSTMATE_"
FILE_NAME = "firstmate.toml"
MODES = ("demo", "paper", "testnet", "live")
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
STREAMS = {
    "testnet": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    "live": "wss://ws-api.binance.com:443/ws-api/v3",
}
SEALED = frozenset({"api_key", "api_secret", "totp_seed"})
SHOWN_MAX = 120
NOT_A_CONFIGURATION = frozenset({"home", "log_level"})


class SettingsWrong(NeedsOwner):
    """Settings that cannot be used; ``lines`` holds one sentence a problem, ``home`` the state folder where known."""

    def __init__(self, lines: list[str], home: Path = Path()) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.home = home


def setting(default: str, kind: Kind, sentence: str) -> Any:
    """A field of Settings: its default as one would write it, its kind (unit and bounds), one sentence for people."""
    value = kind.parse(default) if default else kind.absent
    return dataclass_field(default=value, metadata={"default": default, "kind": kind, "sentence": sentence})


SHARE = Number(0, 1, "share of equity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process. ``configured`` is False when nobody ever set anything that matters to trading."""

    home: Path = setting(
        "", Folder(), "The state folder: database, lock, remembered mode. Default: the user's data folder"
    )
    mode: str = setting("", Choice(MODES), "What `./run` starts; remembered by `./run run --mode MODE`")
    symbols: tuple[str, ...] = setting(
        "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT", Symbols(most=50), "Spot pairs to watch and trade"
    )
    timeframe: str = setting("1h", Choice(TIMEFRAMES), "Length of a bar; decisions are taken when a bar closes")
    trail_stops: str = setting("off", Choice(("off", "on")), "Whether the stop of a new position follows the price up")
    history_bars: int = setting("50000", Whole(500, 200_000, "bars"), "History kept ready for each symbol")
    approve: str = setting("ask", Choice(("ask", "auto")), "Whether an entry waits for the owner's Approve button")
    approve_window_s: int = setting("900", Whole(10, 86_400, "seconds"), "How long an Approve button stays valid")
    paper_cash: Decimal = setting(
        "10000", Number(1, 1_000_000_000, "quote currency"), "Cash a paper or demo account starts with"
    )

    telegram_token: Secret | None = setting(
        "",
        Token(),
        "The bot's token as BotFather gave it, a secret: better kept by `./run keys set telegram`, in live only there",
    )
    owner_id: int | None = setting(
        "", Whole(1, 2**52, "Telegram user id"), "The one person the bot obeys; everybody else is ignored"
    )
    telegram_url: str = setting("https://api.telegram.org", Url(), "The Bot API server")
    exchange_url: str = setting("https://api.binance.com", Url(), "Binance's REST address; Binance has several")
    testnet_url: str = setting("https://testnet.binance.vision", Url(), "The same of Binance's testnet")
    stream_url: str | None = setting(
        "",
        Url("ws"),
        "The exchange's WebSocket API, told of our orders by it; unset: the one that belongs to the REST address",
    )
    first_trades: int = setting(
        "10", Whole(0, 1000, "round trips"), "How many of the first trades with real money are of reduced size"
    )
    first_share: Decimal = setting("0.25", Number(0, 1, "share of the usual size"), "The size of those first trades")
    time_zone: str = setting("UTC", Zone(), "Times in messages are shown in this zone")
    quiet_hours: str = setting("", Hours(), "Between these times only urgent messages make a sound; empty: never quiet")
    log_level: str = setting(
        "",
        Choice(("debug", "info", "warning", "error")),
        "The least urgent log line that is written (to stderr); unset: info, in a demo warning",
    )

    kelly_fraction: Decimal = setting(
        "0.25", Number(0, 1, "share of full Kelly"), "How much of the Kelly size is taken"
    )
    target_volatility: Decimal = setting(
        "0.60", Number(0, 5, "annualised fraction"), "Sizes shrink where a symbol moves more than this"
    )
    day_loss_max: Decimal = setting(
        "0.03", SHARE, "Loss since the day's start (UTC) after which nothing is bought until the next day"
    )
    drawdown_max: Decimal = setting("0.15", SHARE, "Fall from the highest equity after which trading halts")
    symbol_exposure_max: Decimal = setting("0.20", SHARE, "The most that may be held of one symbol")
    gross_exposure_max: Decimal = setting("0.60", SHARE, "The most that may be held of all symbols together")
    bucket_exposure_max: Decimal = setting("0.40", SHARE, "The most that may be held of symbols that move together")
    bucket_correlation: Decimal = setting(
        "0.80", Number(0, 1, "correlation"), "From this correlation on, two symbols count as moving together"
    )
    orders_open_max: int = setting("20", Whole(1, 200, "orders"), "The most orders open at once")
    orders_per_min_max: int = setting("10", Whole(1, 600, "orders a minute"), "The most orders sent in a minute")
    stale_bars: int = setting("2", Whole(1, 100, "bars"), "Data older than this many bars is not traded on")

    configured: bool = False

    # from the vault, by no other way
    api_key: Secret | None = None
    api_secret: Secret | None = None
    totp_seed: Secret | None = None

    @property
    def rest_url(self) -> str:
        """The exchange's REST address in this mode."""
        return self.testnet_url if self.mode == "testnet" else self.exchange_url

    @property
    def user_stream_url(self) -> str:
        """The exchange's WebSocket API in this mode: a stand-in on this computer serves its own."""
        if self.stream_url:
            return self.stream_url
        if is_loopback(self.rest_url):
            return self.rest_url.replace("http", "ws", 1) + "/ws-api/v3"
        return STREAMS.get(self.mode, STREAMS["live"])


SPECS = {spec.name: spec for spec in fields(Settings) if "kind" in spec.metadata}


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


def example() -> str:
    """The text of `.env.example`: every field with its sentence, unit, bounds and default, each commented out."""
    head = [
        "# Copy to .env and uncomment what you change. The environment wins over .env, and .env over firstmate.toml",
        "# in the state folder. Keep .env to yourself: chmod 600 .env",
    ]
    for name, spec in SPECS.items():
        kind: Kind = spec.metadata["kind"]
        default = spec.metadata["default"]
        head += ["", f"# {spec.metadata['sentence']}.", f"# {kind.allowed()}. Default: {default or 'none'}."]
        head.append(f"# {PREFIX}{name.upper()}={default}")
    return "\n".join(head) + "\n"


Given = dict[str, tuple[str, str]]
"""Field name to (text, where it came from)."""


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
    plain = "".join(c if c.isprintable() else "?" for c in str(text))
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


if __name__ == "__main__":
    print(example(), end="")
