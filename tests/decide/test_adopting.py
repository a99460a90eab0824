"""Taking over orders of ours that no book holds: core.decide.adopting through ``step``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.domain import events as ev
from core.domain.effects import Cancel, Effect, Tell
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from tests.builders import HOUR, SECOND, START, an_order
from tests.decide.lives import BTC, PAIR, a_life, bare, holding, position, stop_of, told
from tests.fakes import Life

D = Decimal


def found(life: Life, *orders: Order) -> tuple[Effect, ...]:
    """The exchange shows these orders, which bear our mark."""
    return life.post(ev.OrdersFound(life.now(), "reconcile", orders[0].symbol, orders))


def stray(intent: str = "BTCUSDT-lost", at=START, qty: str = "5") -> tuple[Order, Order]:
    """A pair of ours that no book holds any more."""
    stop = an_order(
        f"fm-{intent}-s3",
        side=Side.SELL,
        kind=OrderKind.STOP_LOSS_LIMIT,
        purpose=Purpose.STOP,
        qty=D(qty),
        created_at=at,
        price=D("94.5"),
        stop_price=D(95),
        state=OrderState.OPEN,
    )
    target = replace(
        stop,
        client_id=f"fm-{intent}-t3",
        kind=OrderKind.LIMIT_MAKER,
        purpose=Purpose.TARGET,
        price=D(110),
        stop_price=None,
    )
    return stop, target


def test_orders_of_ours_that_no_book_holds_make_a_position_again():
    """A pair on the exchange protects something: that is held again, with this stop and this target, and told."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    (tell,) = found(life, *stray())
    assert isinstance(tell, Tell)
    assert tell.urgent
    one = position(life)
    assert (one.qty, one.stop, one.target, one.intent, one.adopted) == (5, 95, 110, "BTCUSDT-lost", True)
    assert set(life.state.orders) == {"fm-BTCUSDT-lost-s3", "fm-BTCUSDT-lost-t3"}
    assert found(life, *stray()) == ()


def test_a_rebuilt_position_is_closed_when_its_stop_fills():
    """From then on it is a position like any other."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    stop, target = stray()
    life.exchange.submit_pair(stop, target)
    found(life, stop, target)
    life.exchange.move(BTC, D("94.9"))
    life.look()
    assert [(t.why, t.exit_price) for t in life.closed()] == [("stop", D("94.5"))]
    assert life.state.balances == dict(life.exchange.held)


def test_the_next_order_of_a_rebuilt_position_has_a_name_of_its_own():
    """Names count on from those found, so that no two orders ever share one."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    stop, target = stray()
    life.exchange.submit_pair(stop, target)
    found(life, stop, target)
    life.exchange.cancel(stop.client_id)
    life.look()
    assert stop_of(life).client_id == "fm-BTCUSDT-lost-s4"


def test_a_stray_pair_beside_a_position_is_cancelled():
    """What protects nothing known would sell what is not its own."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(5)})
    stop, target = stray()
    life.exchange.submit_pair(stop, target)
    found(life, stop, target)
    assert [e.client_id for e in life.queue if isinstance(e, Cancel)] == [stop.client_id]
    life.work()
    assert life.exchange.orders[stop.client_id].end == "CANCELED"
    assert position(life).qty == life.sent(Purpose.ENTRY)[0].qty
    assert life.standing() == PAIR


def test_every_stray_pair_beside_a_position_is_cancelled():
    """Two lost pairs are two pairs to cancel."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(10)})
    pairs = [stray(intent, life.at + n * SECOND) for n, intent in enumerate(["BTCUSDT-one", "BTCUSDT-two"])]
    for pair in pairs:
        life.exchange.submit_pair(*pair)
    found(life, *(order for pair in pairs for order in pair))
    life.work()
    assert {life.exchange.orders[stop.client_id].end for stop, _ in pairs} == {"CANCELED"}


def test_a_stray_stop_does_not_pass_for_the_positions_own():
    """A stop that belongs to nothing known protects nothing: the alarm is not silenced by it."""
    life = bare()
    found(life, *stray(at=stop_of(life).created_at - HOUR))
    (line,) = told(life, stop_of(life).created_at + timedelta(seconds=life.state.config.told_after_s))
    assert "no stop" in line


def test_what_a_stray_order_sells_is_not_the_positions():
    """A lost pair that fills before it could be cancelled sells the coins beside the position."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(5)})
    held = position(life).qty
    stop, target = stray()
    life.exchange.submit_pair(stop, target)
    found(life, stop, target)
    life.exchange.trade(stop.client_id, stop.qty, D(95))
    life.look()
    assert position(life).qty == held


def test_a_piece_of_a_stray_order_does_not_keep_a_position_from_its_end():
    """A lost target that traded in part still has to go, and the position comes to its end."""
    life = holding(balances={"USDT": D(10_000), "BTC": D(5)})
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.act(life.queue.pop(0))
    life.look()
    stop, target = stray()
    life.exchange.submit_pair(stop, target)
    found(life, stop, target)
    life.queue = [e for e in life.queue if not isinstance(e, Cancel)]
    life.exchange.trade(target.client_id, D(1), D(110))
    life.look()
    life.work()
    for _ in range(5):
        life.wait(timedelta(minutes=11))
        life.work()
    assert life.state.positions == {}


def test_orders_found_that_sell_nothing_known_do_not_open_a_position_without_a_stop():
    """A lost target alone is watched, but protects nothing that could be called a position."""
    life = a_life(balances={"USDT": D(10_000), "BTC": D(5)})
    life.bar()
    found(life, stray()[1])
    assert life.state.positions == {}
    assert set(life.state.orders) == {"fm-BTCUSDT-lost-t3"}
