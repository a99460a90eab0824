"""Every setting, declared once: its default, its kind with unit and bounds, its sentence for people.

Rule 1: the settings of a process are one frozen object; `core.setting_sources` reads them, once.
Rule 2: a secret is a Secret: it prints as stars and no message quotes it. The exchange's keys are no settings: they
        come from the vault.
Rule 3: this file is imported by every command, so it stays light: no third-party import unless it is needed.

`python -m core.settings` prints `.env.example`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from decimal import Decimal
from pathlib import Path
from typing import Any

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
MODES = ("demo", "paper", "testnet", "live")
HISTORY_BARS_MAX = 200_000
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
STREAMS = {
    "testnet": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    "live": "wss://ws-api.binance.com:443/ws-api/v3",
}
SEALED = frozenset({"api_key", "api_secret", "totp_seed"})


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
    history_bars: int = setting("50000", Whole(500, HISTORY_BARS_MAX, "bars"), "History kept ready for each symbol")
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


if __name__ == "__main__":
    print(example(), end="")
