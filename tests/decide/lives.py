"""Lives to begin a test with: bought at market with a pair, or with a bracket, on one fake exchange."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from core.domain import events as ev
from core.domain.effects import Effect, Submit, SubmitBracket, SubmitPair, Tell
from core.domain.market import Instrument
from core.domain.orders import Order, Purpose
from core.domain.state import Position
from tests.builders import SYMBOLS, a_config, a_forecast, a_state, an_instrument, with_lists
from tests.fakes import Life

D = Decimal
PAIR = {Purpose.STOP, Purpose.TARGET}
BTC = "BTCUSDT"
LISTS = with_lists()


def a_life(rules: Instrument | None = None, balances: dict[str, Decimal] | None = None, **config: object) -> Life:
    """A life that has just started; ``rules`` are those of BTC."""
    instruments = {symbol: an_instrument(symbol) for symbol in SYMBOLS} | {BTC: rules or an_instrument(BTC)}
    return Life(a_state(balances=balances, instruments=instruments, config=a_config(**config)))


def asked(life: Life, close: str = "100") -> Life:
    """``life`` after a bar that it orders on; nothing is sent yet."""
    life.bar(close=close, forecast=a_forecast())
    return life


def holding(
    rules: Instrument | None = None, balances: dict[str, Decimal] | None = None, close: str = "100", **config: object
) -> Life:
    """A life that holds BTC bought at ``close``, its pair standing."""
    life = asked(a_life(rules, balances, **config), close)
    life.work()
    return life


def bare(**config: object) -> Life:
    """A life that has just bought BTC at market at 100, its pair wanted and not yet sent."""
    life = asked(a_life(**config))
    life.act(life.queue.pop(0))
    life.fill_market()
    life.look()
    return life


def position(life: Life) -> Position:
    """What is held of BTC."""
    return life.state.positions[BTC]


def stop_of(life: Life) -> Order:
    """The newest stop that was wanted."""
    return life.sent(Purpose.STOP)[-1]


def compare(life: Life, seconds: int = 0) -> tuple[Effect, ...]:
    """The exchange's balances as they are, so many seconds later."""
    life.at += timedelta(seconds=seconds)
    held = {asset: amount for asset, amount in life.exchange.held.items() if amount}
    return life.post(ev.BalancesSeen(life.at, "look", held))


def lost(life: Life) -> Effect:
    """The next thing that is wanted gets lost on its way; what it was."""
    effect = life.queue.pop(0)
    for order in _orders(effect):
        life.post(ev.Unknown(life.now(), "act", order.client_id, "timeout"))
    return effect


def refused(life: Life, code: str = "-2010") -> None:
    """The next thing that is wanted is refused."""
    for order in _orders(life.queue.pop(0)):
        life.post(ev.Rejected(life.now(), "act", order.client_id, code, "no"))


def _orders(effect: Effect) -> tuple[Order, ...]:
    if isinstance(effect, SubmitBracket):
        return effect.entry, effect.stop, effect.target
    if isinstance(effect, SubmitPair):
        return effect.stop, effect.target
    return (effect.order,) if isinstance(effect, Submit) else ()


def told(life: Life, at) -> list[str]:
    """What a tick at this moment tells the owner."""
    return [e.text for e in life.post(ev.Ticked(at, "tick")) if isinstance(e, Tell)]
