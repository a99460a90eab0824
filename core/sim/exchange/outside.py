"""Requests of whoever plays the world around an account: time, transfers, orders by hand, other rules, the truth.

Rule 1: nobody signs here: the exchange listens on loopback alone, and none of this exists on a real one.
Rule 2: every change is an input of the exchange like an order: logged, and found again after a restart.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from core.decide.costs import Fees
from core.domain.market import to_ms
from core.sim.exchange import asks, show
from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params
from core.sim.exchange.standing import RIGHTS, RULE_NAMES
from core.sim.exchange.world import SimExchange


class YesNo(StrEnum):
    """A switch in a request."""

    TRUE = "true"
    FALSE = "false"


def state(ex: SimExchange, q: Params) -> object:
    """Time, market and our ledger's totals."""
    now_ms = ex.now_ms()
    totals = {asset: str(amount) for asset, amount in ex.totals().items()}
    symbols = list(ex.market.symbols)
    return {"time": now_ms, "market": ex.market.label, "symbols": symbols, "lockstep": ex.lockstep, "totals": totals}


def truth(ex: SimExchange, q: Params) -> object:
    """Every order and trade there ever was, every transfer, and what is held: without lag, limit or page."""
    now_ms = ex.now_ms()
    live = {o.order_id: o for orders in ex.venue.open.values() for o in orders}
    balances = {a: {"free": show.num(b.free), "locked": show.num(b.locked)} for a, b in ex.venue.balances.items()}
    return {
        "time": now_ms,
        "orders": [show.order_view(live.get(o.order_id, o)) for o in ex.history.orders.values()],
        "trades": [{**show.trade_view(t), "clientOrderId": t.client_id} for t in ex.history.every_trade],
        "transfers": [{"time": t.at_ms, "asset": t.asset, "amount": show.num(t.amount)} for t in ex.history.transfers],
        "balances": balances,
    }


def advance(ex: SimExchange, q: Params) -> object:
    """Move on by one bar, or ``bars`` of them; ``time`` is null at the end of the record."""
    if not ex.lockstep:
        raise fail("running")
    at = None
    for _ in range(q.number("bars", 1, most=1000)):
        at = ex.advance()
    return {"time": None if at is None else to_ms(at)}


def deposit(ex: SimExchange, q: Params) -> object:
    """``amount`` of ``asset`` comes in."""
    ex.deposit(q.text("asset"), _amount(q))
    return state(ex, q)


def withdraw(ex: SimExchange, q: Params) -> object:
    """``amount`` of ``asset`` goes out."""
    ex.withdraw(q.text("asset"), _amount(q))
    return state(ex, q)


def _amount(q: Params) -> Decimal:
    amount = q.decimal("amount")
    if not amount:
        raise fail("unfit", why="amount must be above 0")
    return amount


def foreign_order(ex: SimExchange, q: Params) -> object:
    """An order of the same account that we did not send; the parameters are those of POST order."""
    moves = ex.foreign_order(asks.read_order(q, ex.market.symbols, ""))
    return show.order_view(ex.history.orders[max(m.order.order_id for m in moves if hasattr(m, "order"))])


def set_status(ex: SimExchange, q: Params) -> object:
    """The symbol's ``status``: TRADING, HALT, BREAK."""
    ex.set_status(q.symbol(ex.market.symbols), q.text("status"))
    return {}


def set_rules(ex: SimExchange, q: Params) -> object:
    """Fields of the symbol's rules under their own names, e.g. ``notional_min=10``."""
    symbol = q.symbol(ex.market.symbols)
    rules = ex.terms(symbol).rules
    changed: dict[str, object] = {}
    for name in sorted(RULE_NAMES):
        if q.has(name):
            now = getattr(rules, name, None)
            changed[name] = _like(q, name, getattr(rules.instrument, name) if now is None else now)
    if not changed:
        raise fail("missing", name="|".join(sorted(RULE_NAMES)))
    ex.set_rules(symbol, **changed)
    return {}


def _like(q: Params, name: str, now: object) -> object:
    """The parameter as the same kind of value as ``now``."""
    if isinstance(now, bool):
        return _switch(q, name)
    if isinstance(now, int):
        return q.number(name)
    return q.decimal(name) if isinstance(now, Decimal) else q.text(name)


def _switch(q: Params, name: str) -> bool:
    return q.choice(name, YesNo, "switch") is YesNo.TRUE


def set_fees(ex: SimExchange, q: Params) -> object:
    """``maker`` and ``taker`` as fractions; ``bnbPrice``, quote per BNB, makes BNB pay, 0 or none the traded asset."""
    now = ex.terms(ex.market.symbols[0]).fees
    price = q.optional_decimal("bnbPrice")
    quotes = sorted({ex.terms(s).instrument.quote for s in ex.market.symbols})
    ex.set_fees(
        Fees(
            maker=q.decimal("maker") if q.has("maker") else now.maker,
            taker=q.decimal("taker") if q.has("taker") else now.taker,
            bnb_prices=dict.fromkeys(quotes, price) if price else {},
        )
    )
    return {}


def set_rights(ex: SimExchange, q: Params) -> object:
    """Rights of the key under their own names, e.g. ``enableWithdrawals=true``."""
    changed = {name: _switch(q, name) for name in RIGHTS if q.has(name)}
    if not changed:
        raise fail("missing", name="|".join(RIGHTS))
    ex.set_rights(**changed)
    return dict(ex.rights)


def revoke_key(ex: SimExchange, q: Params) -> object:
    """The account's keys are deleted."""
    ex.revoke_key()
    return {}
