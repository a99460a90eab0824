"""What the owner types, and what comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from aiogram.exceptions import TelegramBadRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.handlers import commands
from bot.keyboards import Refresh
from bot.pieces import TEXT_MAX, utf16_length
from bot.views.menu import COMMANDS
from core.domain.errors import RetryLater
from core.domain.events import OwnerPaused
from core.domain.state import Limits, TradingState
from tests.bot.fakes import OWNER, START, SYMBOLS, office
from tests.bot.phones import message_json, phone
from tests.bot.views.test_lists import STRANGER

HINT = "I do not know that. /help lists what I understand."


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_answers_once_within_a_message(name: str):
    """With nothing held and with something held: exactly one answer, never the hint, never an error."""
    async with office() as there:
        hand = phone(there)
        for _ in range(2):
            (answer,) = await hand.say(f"/{name}")
            assert answer != HINT
            assert "failed" not in answer
            assert 0 < utf16_length(answer) <= TEXT_MAX
            if there.desk.state.trading.state is TradingState.ACTIVE and not there.desk.state.positions:
                await there.buy()


async def test_start_and_help_list_every_command():
    """What the menu holds stands in the help."""
    async with office() as there:
        hand = phone(there)
        for text in ("/start", "/help"):
            (answer,) = await hand.say(text)
            assert all(f"/{name} — {words}" in answer for name, words in COMMANDS.items())
        assert [command.command for command in commands()] == list(COMMANDS)


@pytest.mark.parametrize(
    ("mode", "staged", "words"),
    [
        ("demo", "SIMULATED", "on a SIMULATED market. No real money moves."),
        ("paper", "", "on Binance spot. No real money moves."),
        ("live", "", "on Binance spot.\n"),
    ],
)
async def test_the_welcome_says_whether_money_is_real(mode: str, staged: str, words: str):
    """Nobody takes a demo for real, or the real thing for a demo."""
    async with office(mode=mode, staged=staged) as there:
        (answer,) = await phone(there).say("/start")
        assert words in answer
        assert "BTCUSDT, ETHUSDT" in answer


async def test_status_is_refreshed_in_place():
    """The button edits the message above it."""
    async with office() as there:
        hand = phone(there)
        await hand.say("/status")
        await there.engine.post(OwnerPaused(START, "test", 900))
        await hand.press(hand.button("Refresh"), message_id=1)
        (edit,) = hand.chat.of("editMessageText")
        assert edit.text.startswith("🟡 REDUCING")
        assert (edit.chat_id, edit.message_id) == (OWNER, 1)
        assert edit.reply_markup


async def test_a_refresh_that_changes_nothing_is_no_error():
    """Telegram refuses an edit without a change; the owner hears nothing of it."""
    async with office() as there:
        hand = phone(there)
        for what in ("status", "positions"):
            hand.chat.fail("editMessageText", lambda m: TelegramBadRequest(m, "Bad Request: message is not modified"))
            await hand.press(Refresh(what=what).pack())
        assert hand.chat.of("sendMessage") == []
        assert len(hand.chat.of("answerCallbackQuery")) == 2


async def test_signal_shows_the_plan_with_its_buttons_and_picture():
    """Approve and Skip stand under an open proposal."""
    async with office() as there:
        await there.propose()
        hand = phone(there)
        (card,) = await hand.say("/signal btc")
        assert card.startswith("🟢 BUY BTCUSDT at 100")
        assert "fixed rule" in card
        assert "SIMULATED" in card
        assert hand.chat.of("sendPhoto")[0].reply_markup
        assert [spec.badge for spec in hand.easel.drawn] == ["SIMULATED"]


async def test_signal_says_what_became_of_a_plan_that_is_no_longer_open():
    """No buttons under what was ordered or ran out, and a word about it."""
    async with office() as there:
        await there.buy()
        hand = phone(there)
        assert "✅ Ordered." in (await hand.say("/signal BTC"))[0]
        await there.propose(1, "ETHUSDT")
        await there.see(3, symbol="1000000MOGUSDT")
        assert "This plan is over." in (await hand.say("/signal ETH"))[0]
        assert all(call.reply_markup is None for call in hand.chat.of("sendPhoto"))


async def test_signal_without_a_plan_says_why_there_is_none():
    """The question is answered either way."""
    async with office() as there:
        await there.see(1)
        (card,) = await phone(there).say("/signal")
        assert card.startswith("BTCUSDT: no order")
        assert "[NO_SETUP]" in card


@pytest.mark.parametrize("name", ["signal", "why"])
async def test_before_the_first_bar_there_is_an_answer_too(name: str):
    """Patience is asked for in words."""
    async with office() as there:
        (answer,) = await phone(there).say(f"/{name} ETH")
        assert answer == "No bar of ETHUSDT has closed since I started. The next one brings a decision."


@pytest.mark.parametrize("name", ["signal", "why"])
@pytest.mark.parametrize("typed", ["ETH", "eth", "ethusdt", "ETH/USDT", " Eth-Usdt "])
async def test_a_symbol_may_be_typed_as_people_type(name: str, typed: str):
    """Case, slash and the quote do not matter."""
    async with office() as there:
        await there.see(1, symbol="ETHUSDT")
        (answer,) = await phone(there).say(f"/{name} {typed}")
        assert answer.startswith("ETHUSDT")


@pytest.mark.parametrize("name", ["signal", "why"])
async def test_an_unknown_symbol_is_answered_with_those_that_are_watched(name: str):
    """The line names the fix."""
    async with office() as there:
        (answer,) = await phone(there).say(f"/{name} <b>DOGE</b>&_*[")
        assert answer == f"I do not watch <b>DOGE</b>&_*[. I watch {', '.join(SYMBOLS)}."


@pytest.mark.parametrize("name", ["signal", "why"])
async def test_a_picture_that_fails_does_not_take_the_words_with_it(name: str):
    """The answer comes as text."""
    async with office() as there:
        await there.see(1, fires=True)
        hand = phone(there)
        hand.easel.broken = True
        (answer,) = await hand.say(f"/{name}")
        assert "BTCUSDT" in answer
        assert hand.chat.of("sendPhoto") == []


async def test_an_answer_too_long_for_a_caption_follows_its_picture():
    """Nothing is cut off: picture first, then the words, then the buttons under the words."""
    async with office() as there:
        await there.see(1)
        decision = there.desk.state.decisions["BTCUSDT"]
        long = "word " * 300
        assert decision.refusal
        wordy = replace(decision, refusal=replace(decision.refusal, sentence=long))
        there.desk.decision = lambda symbol: wordy  # type: ignore[method-assign]
        hand = phone(there)
        await hand.say("/why")
        assert [call.__api_method__ for call in hand.chat.calls] == ["sendPhoto", "sendMessage"]
        assert hand.chat.calls[0].caption is None
        assert long in hand.chat.calls[1].text


async def test_limits_are_shown_and_tightened():
    """A smaller number is taken at once, in percent or as a fraction, with or without a blank."""
    async with office() as there:
        hand = phone(there)
        assert "day_loss_max 3% loss since 00:00 UTC" in (await hand.say("/limits"))[0]
        for text, value in (("2%", "0.02"), ("1.5 %", "0.015"), ("0.01", "0.01")):
            await hand.say(f"/limits day_loss_max {text}")
            assert str(there.desk.state.limits.day_loss_max) == value
        await hand.say("/limits orders_open_max 5")
        assert there.desk.state.limits.orders_open_max == 5


@pytest.mark.parametrize("args", ["day_loss_max 5%", "orders_open_max 21", "kelly_fraction 0.26", "stale_bars 3"])
async def test_a_limit_is_loosened_by_a_second_thought_only(args: str):
    """Where no real money is at stake, a higher limit asks once more, and the press sets it."""
    async with office() as there:
        hand = phone(there)
        (question,) = await hand.say(f"/limits {args}")
        name, value = args.split(" ")
        assert question.startswith(f"This would raise {name} from ")
        assert question.endswith(f" to {value if '%' in value or '.' not in value else '26%'}.")
        assert there.desk.state.limits == Limits()
        await hand.press(hand.button("Raise it"))
        assert there.desk.looser(name, value) == ""
        assert there.desk.state.limits != Limits()


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.sampled_from(
            ["", "2%", "day_loss_max", "day_loss_max x", "day_loss_max 2% 3%", "day_loss_max -1%", "nope 1"]
        ),
        st.sampled_from(["NaN", "Infinity", "1e9", "1e-999999999", "½", "２", "0x1", "1_0", "+1", "%", "1%%"]).map(
            lambda value: f"day_loss_max {value}"
        ),
        st.text(max_size=30),
    )
)
def test_whatever_stands_behind_limits_it_never_loosens_and_never_fails(args: str):
    """A bad value gets a line that helps, and no limit ever grows."""

    async def type_it() -> None:
        async with office() as there:
            (answer,) = await phone(there).say(f"/limits {args}")
            assert "failed" not in answer
            now, was = there.desk.state.limits, Limits()
            assert all(getattr(now, name) <= getattr(was, name) for name in Limits.__dataclass_fields__)

    asyncio.run(type_it())


async def test_pause_and_resume_change_what_they_say():
    """No new entries, and back; a second resume says that nothing was to be done."""
    async with office() as there:
        hand = phone(there)
        assert (await hand.say("/pause"))[0].startswith("Paused")
        assert there.desk.state.trading.state is TradingState.REDUCING
        assert (await hand.say("/resume"))[0].startswith("Trading is active again")
        assert await hand.say("/resume") == ["Trading is active already."]


async def test_a_halt_is_lifted_by_a_second_thought_only():
    """After a panic /resume asks once more; the press trades again."""
    async with office() as there:
        hand = phone(there)
        await hand.say("/panic")
        await hand.press(hand.button("Sell everything"))
        assert (await hand.say("/pause"))[0].startswith("Trading is halted already")
        (question,) = await hand.say("/resume")
        assert question == "Trading is halted: panic button. Trade again?"
        assert there.desk.state.trading.state is TradingState.HALTED
        await hand.press(hand.button("Resume trading"))
        assert there.desk.state.trading.state is TradingState.ACTIVE


async def test_panic_says_what_it_would_do_before_it_does_it():
    """Position by position, with what it is worth."""
    async with office() as there:
        await there.buy()
        await there.propose(1, "ETHUSDT")
        before = there.seq()
        (plan,) = await phone(there).say("/panic")
        assert plan == (
            "This would, at once:\n• sell 19.90049 BTC, about 1,990.05 USDT\n"
            "• cancel 2 open orders and drop 1 proposal\n• halt trading until you resume it\n\n"
            "The button works once, for one minute."
        )
        assert there.seq() == before


async def test_the_time_zone_is_changed_and_respected():
    """From then on every time is the owner's."""
    async with office() as there:
        hand = phone(there)
        await there.buy()
        assert "Since Mon 1 Jan 02:00" in (await hand.say("/positions"))[0]
        assert (await hand.say("/settings Asia/Tokyo"))[0] == "Times are shown in Asia/Tokyo from now on."
        assert "Since Mon 1 Jan 11:00" in (await hand.say("/positions"))[0]
        assert "Last bar closed Mon 1 Jan 11:00" in (await hand.say("/status"))[0]
        assert "bar of Mon 1 Jan 10:00" in (await hand.say("/why"))[0]
        assert hand.easel.drawn[-1].time_zone == "Asia/Tokyo"


@pytest.mark.parametrize("typed", ["Mars", "../../etc/passwd", "/etc/localtime", "Europe/", "x" * 300])
async def test_a_time_zone_that_is_none_is_refused(typed: str):
    """With examples of what is one."""
    async with office() as there:
        (answer,) = await phone(there).say(f"/settings {typed}")
        assert "Try Europe/Berlin" in answer
        assert there.desk.state.time_zone == "UTC"


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=50).filter(lambda text: not text.startswith("/")))
def test_what_is_no_command_gets_the_hint_and_changes_nothing(text: str):
    """Small talk is safe."""

    async def type_it() -> None:
        async with office() as there:
            before = there.seq()
            assert await phone(there).say(text) == [HINT]
            assert there.seq() == before

    asyncio.run(type_it())


async def test_a_picture_or_sticker_of_the_owner_gets_the_hint():
    """A message without a text is no command either."""
    async with office() as there:
        hand = phone(there)
        body = {"message_id": 1, "date": 1, "from": {"id": OWNER, "is_bot": False, "first_name": "O"}}
        await hand.feed(message={**body, "chat": {"id": OWNER, "type": "private"}, "dice": {"emoji": "🎲", "value": 1}})
        assert hand.chat.said == [HINT]


async def test_orders_trades_and_balance_tell_a_finished_round_trip():
    """Bought, protected, sold at its target: all three lists know it."""
    async with office() as there:
        await there.buy()
        target = next(order for order in there.live("BTCUSDT") if order.price and not order.stop_price)
        await there.sell(target)
        hand = phone(there)
        assert "BTCUSDT target: FILLED" in (await hand.say("/orders"))[0]
        assert (await hand.say("/trades"))[0].startswith(
            "Last 1 trade: +119.40 USDT after fees\n\n✅ BTCUSDT +119.40 (target)"
        )
        assert await hand.say("/positions") == ["No positions."]
        assert "USDT 10,119.40" in (await hand.say("/balance"))[0]


async def test_a_stop_moves_up_and_the_pair_follows():
    """The old pair is asked to go, and the list of positions says so."""
    async with office() as there:
        await there.buy()
        await there.see(2, "110")
        hand = phone(there)
        was = there.desk.state.positions["BTCUSDT"].stop
        assert await hand.say("/stop btc 101.5") == [f"The stop of BTCUSDT moves up from {was} to 101.5."]
        assert there.desk.state.positions["BTCUSDT"].stop == Decimal("101.5")
        assert "Its stop is being moved" in (await hand.say("/positions"))[0]
        (again,) = await hand.say("/stop btc 102")
        assert again == "The stop of BTCUSDT is being moved right now; try again in a moment."


async def test_a_stop_follows_the_price_when_told_to():
    """From then on the list says how far behind."""
    async with office() as there:
        await there.buy()
        hand = phone(there)
        assert await hand.say("/stop BTC trail") == ["The stop of BTCUSDT follows the price from now on, never down."]
        assert there.desk.state.positions["BTCUSDT"].trail_bips > 0
        assert "under the highest price" in (await hand.say("/positions"))[0]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Write the symbol and the new stop, for example: /stop BTC 61000, or /stop BTC trail"),
        ("BTC", "Write the symbol"),
        ("BTC sixty", "Write the symbol"),
        ("BTC -5", "Write the symbol"),
        ("BTC 99%", "Write the symbol"),
        ("BTC 1e2", "Write the symbol"),
        ("BTC 99 99", "Write the symbol"),
        ("DOGE 5", "I do not watch DOGE."),
        ("ETH 99", "There is no position in ETHUSDT whose stop could be moved."),
        ("BTC 96.99", "only moves up, below the price 100"),
        ("BTC 100", "only moves up, below the price 100"),
        ("BTC 61,000.5", "only moves up, below the price 100"),
    ],
)
async def test_a_stop_that_cannot_be_moved_is_refused_in_one_line(typed: str, words: str):
    """No symbol, no price, no position, looser, or above the price: the line names the fix and nothing changes."""
    async with office() as there:
        await there.buy()
        before = there.seq()
        (answer,) = await phone(there).say(f"/stop {typed}")
        assert words in answer
        assert "\n" not in answer
        assert there.seq() == before


async def test_the_same_update_moves_a_stop_once():
    """A command that Telegram delivers twice has one effect."""
    async with office() as there:
        await there.buy()
        hand = phone(there)
        for _ in range(2):
            await hand.feed(update_id=50, message=message_json("/stop BTC 98"))
        assert len(hand.chat.said) == 1


async def test_reconcile_says_what_was_compared_and_is_refreshed_in_place():
    """One message with a button; the press compares again."""
    async with office() as there:
        await there.buy()
        hand = phone(there)
        (answer,) = await hand.say("/reconcile")
        assert answer.startswith("✅ Everything agrees.\nCompared Mon 1 Jan 02:00: ")
        assert ": BTCUSDT, 1000000MOGUSDT, ETHUSDT; 2 orders of mine, 0 new trades, 2 balances." in answer
        there.exchange.moved["USDT"] = Decimal(5)
        await hand.press(hand.button("Refresh"))
        (edit,) = hand.chat.of("editMessageText")
        assert edit.text.startswith("⚠️ Something differs.")
        assert "• USDT: the exchange has +5" in edit.text
        assert edit.reply_markup
        assert "balances differ from my books" in (await hand.say("/status"))[0]


async def test_orders_of_others_are_shown_once_they_were_seen():
    """After a comparison /orders has them in a section of their own."""
    async with office() as there:
        there.exchange.foreign.append(STRANGER)
        hand = phone(there)
        assert "Not mine, never touched: 1 open order" in (await hand.say("/reconcile"))[0]
        assert "• BTCUSDT buy 0.01 at 60,000 web_4f1" in (await hand.say("/orders"))[0]
        assert there.live("BTCUSDT") == []


async def test_an_exchange_that_cannot_be_asked_is_one_line():
    """By command and by button, with the exchange's own reason."""
    async with office() as there:
        there.exchange.down = RetryLater("Binance cannot be reached.")
        hand = phone(there)
        assert await hand.say("/reconcile") == ["Binance cannot be reached."]
        assert await hand.press(Refresh(what="reconcile").pack()) == ["Binance cannot be reached."]


async def test_a_comparison_that_takes_too_long_ends_in_a_line(monkeypatch: pytest.MonkeyPatch):
    """Nothing that is typed next waits for an exchange that hangs, and the next comparison works."""
    monkeypatch.setattr("bot.handlers.trades.COMPARE_WITHIN_S", 0.05)
    async with office() as there:
        there.exchange.held.clear()
        hand = phone(there)
        (answer,) = await hand.say("/reconcile")
        assert answer.startswith("The exchange did not answer everything within")
        there.exchange.held.set()
        monkeypatch.undo()
        assert (await hand.say("/reconcile"))[0].startswith("✅")
