"""Nothing that can be typed or pressed is an error of ours: callback data, arguments in the chat, the command line."""

from __future__ import annotations

import contextlib
import io
from argparse import ArgumentTypeError
from collections.abc import Callable

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import arguments
from bot.grammar import parse
from bot.handlers.risk import _name_and_value
from bot.handlers.trades import _symbol_and_price
from bot.keyboards import Confirmations, Confirmed, Proposed, Refresh
from core.domain.errors import BadData, FirstmateError
from core.run.desk import Asked
from tests.bot.fakes import office
from tests.fuzz.shapes import NASTY, drawn

SOME = drawn(200)
WORDS = st.one_of(
    st.text(max_size=40),
    NASTY.map(str),
    st.sampled_from(
        ["day_loss_max", "orders_open_max", "BTC", "trail", "live", "a" * 4096, "٣%", "1e9", "/../..", "~x", "2%"]
    ),
)
LINES = st.lists(WORDS, max_size=4).map(" ".join)


@pytest.mark.parametrize("kind", [Proposed, Confirmed, Refresh])
@SOME
@given(WORDS | st.lists(WORDS, max_size=4).map(":".join), st.booleans())
def test_callback_data_is_a_button_of_ours_or_none(kind: type[Proposed], data: str, prefixed: bool) -> None:
    """aiogram passes over what raises these two, and would stumble over anything else."""
    with contextlib.suppress(TypeError, ValueError):
        kind.unpack(f"{kind.__prefix__}:{data}" if prefixed else data)


@SOME
@given(WORDS)
def test_a_token_nobody_issued_confirms_nothing(token: str) -> None:
    """However it looks."""
    waiting = Confirmations()
    waiting.issue("panic")
    assert waiting.take(token) == ""


@SOME
@given(LINES)
async def test_what_follows_a_command_is_understood_or_refused(line: str) -> None:
    """/limits, /stop, /signal, /settings with anything behind them: done, or one sentence, and the books stand."""
    async with office() as there:
        desk, asked = there.desk, Asked(1, "fuzz")

        async def limits() -> object:
            name, value = _name_and_value(line)
            return desk.looser(name, value) or await desk.tighten(asked, name, value)

        async def stop() -> object:
            symbol, price = _symbol_and_price(line)
            return await desk.move_stop(asked, desk.symbol(symbol), price)

        for ask in (limits, stop, lambda: desk.set_time_zone(asked, line)):
            with contextlib.suppress(FirstmateError):
                await ask()
        with contextlib.suppress(BadData):
            assert desk.symbol(line) in desk.about.symbols
        assert not there.live("BTCUSDT")


READERS: dict[str, Callable[[str], object]] = {
    "market": arguments.market,
    "whole": arguments.whole(0, 100),
    "speed": arguments.speed,
    "faults": arguments.faults,
    "moment": arguments.moment,
    "symbol": arguments.symbol,
    "file": arguments.existing_file,
    "folder": arguments.folder,
}


@pytest.mark.parametrize("name", READERS)
@SOME
@given(WORDS | st.dates().map(str) | st.datetimes().map(str) | st.floats().map(str))
def test_an_argument_is_read_or_refused(name: str, text: str) -> None:
    """argparse turns these into one line with the usage; anything else would be a stack trace."""
    with contextlib.suppress(ArgumentTypeError):
        READERS[name](text)


COMMANDS = st.sampled_from(
    ["run", "demo", "status", "doctor", "import", "fetch", "bars", "exchange", "export", "replay", "keys", "audit"]
)
OPTIONS = st.sampled_from(["--state", "--mode", "--json", "--speed", "--seed", "--market", "--since", "--fd", "-h"])


@SOME
@given(st.lists(st.one_of(COMMANDS, OPTIONS, WORDS), max_size=5))
def test_a_command_line_is_parsed_or_refused_by_its_code(words: list[str]) -> None:
    """Any words at all: a command, help (0), or usage (2)."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse(words)
        except SystemExit as ended:
            code = ended.code
        except FirstmateError:
            return
        else:
            return
    assert code in (0, 2)
