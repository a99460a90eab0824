"""/mode: what runs, since when, what that means for money; and the checks before going live.

Rule 1: pure: values in, formatted text out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Code, Text

from bot.views import words
from bot.views.fitting import fit
from core.domain.state import State
from core.run.golive import PHRASE, PHRASE_VALID, Hurdle
from core.run.questions import About

MEANING = {
    "demo": "Market, money and chat are made up; nothing leaves this computer.",
    "paper": "Real prices, play money: orders meet the market inside me, and none is sent to the exchange.",
    "testnet": "Orders go to the exchange's testnet, where money is worth nothing.",
    "live": "Orders go to the exchange and REAL MONEY moves.",
}
NEXT = {
    "demo": "Paper trading is set up on the server: see the README.",
    "paper": "Real money: /mode live shows what has to hold for it. Nothing happens by that alone.",
    "testnet": "Real money: /mode live shows what has to hold for it. Nothing happens by that alone.",
    "live": "Back to paper: stop me on the server and start ./run run --mode paper there.",
}


def mode(about: About, state: State, zone: ZoneInfo) -> Text:
    """The mode in words."""
    return Text(*_mode(about, state, zone))


def _mode(about: About, state: State, zone: ZoneInfo) -> Iterator[object]:
    yield Bold(f"{about.mode} mode")
    if state.adopted_at:
        yield f", its account since {state.adopted_at.astimezone(zone):%Y-%m-%d %H:%M}"
    yield f"\n{MEANING[about.mode]}\n"
    left = max(0, state.config.first_trades - state.entries)
    if left:
        share = words.percent(state.config.first_share)
        yield f"\nThe next {words.plural(left, 'trade')} will be small: {share} of the usual size.\n"
    yield f"\n{NEXT[about.mode]}"


def hurdles(found: Sequence[Hurdle]) -> Text:
    """Every check, and what to do next."""
    lines = [Text(*_hurdle(hurdle)) for hurdle in found]
    failed = sum(hurdle.looked and not hurdle.passed for hurdle in found)
    if failed:
        foot = Text(f"\n{words.plural(failed, 'check')} did not pass. Mend that, then send /mode live again.")
    else:
        minutes = PHRASE_VALID.total_seconds() / 60
        foot = Text(
            "\nEverything passed. If you mean it, type exactly:\n",
            Code(PHRASE),
            f"\nand within {minutes:.0f} minutes run ./run go-live on the server. Nothing happens before that.",
        )
    return fit(lines, Text(Bold("Before real money is at stake:"), "\n"), foot)


def _hurdle(hurdle: Hurdle) -> Iterator[object]:
    judged = "✅ " if hurdle.passed else "❌ " if hurdle.looked else "➖ "
    yield judged if hurdle.judged else "ℹ️ "
    yield Bold(hurdle.name)
    yield f": {hurdle.found}\n"
    if hurdle.fix:
        yield f"     → {hurdle.fix}\n"
