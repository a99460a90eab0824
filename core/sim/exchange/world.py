"""The simulated exchange itself: its time, its market, our account; no network in here.

Rule 1: it owns the time. With a ``speed`` market time runs that many times faster than the wall; without one
        (lock-step) it stands still until ``advance`` is called, so every reading at one moment is the same.
Rule 2: whatever changes it is an input: checked, logged, then applied. A start replays the log and is where it was.
Rule 3: lock-step matches whole bars, a running clock matches the steps inside a bar, both by ``core.decide.matching``.
Rule 4: request times are checked against its clock at speed 1 only: no client follows a faster or a standing one.
Rule 5: a running exchange measures time by ``clock`` (seconds from anywhere, never stepping back): the wall's
        ``time.monotonic``, or ``loop.time`` of a loop whose time is virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from pathlib import Path
from time import monotonic

from core.decide.costs import Fees, Fills, Terms
from core.decide.matching import cancel, on_bar, place, place_list, transfer, validate
from core.decide.venue import Balance, Liquidity, ListPlacement, Moves, Placement, Venue
from core.domain.errors import BadData, Refused
from core.domain.market import Bar, as_decimal, from_ms, to_ms
from core.sim.exchange.history import History, Transfer
from core.sim.exchange.inputs import Header, InputLog, Line
from core.sim.exchange.standing import check_rights, first_standing, key_print
from core.sim.exchange.tape import Tape
from core.sim.market import Market, Row

CLOSED = Refused("Market is closed.", "-1013")
IDLE_S = 0.02
# a laptop that slept must not make the exchange live through the whole night in one breath
CATCH_UP_STEPS = 2_000

OnMoves = Callable[[Moves], None]
OnTime = Callable[[], None]


class SimExchange:
    """An exchange over ``market`` from ``start`` on; ``keys`` are API key -> secret of its one account."""

    def __init__(
        self,
        market: Market,
        *,
        start: datetime,
        speed: float | None,
        keys: Mapping[str, str],
        balances: Mapping[str, Decimal],
        path: Path | None = None,
        fees: Fees = Fees(),  # noqa: B008 - a frozen value
        fills: Fills = Fills(),  # noqa: B008 - a frozen value
        clock: Callable[[], float] = monotonic,
    ) -> None:
        start_ms = to_ms(start) - to_ms(start) % market.span_ms
        _check_start(market, start_ms)
        self.market = market
        self.keys = dict(keys)
        self.tape = Tape(market, fills, start_ms)
        self.history = History()
        self.listeners: list[tuple[OnMoves, OnTime]] = []
        self._speed = speed
        self._clock = clock
        self._venue = Venue(balances={asset: Balance(amount) for asset, amount in balances.items()})
        self._standing = first_standing({s: market.pair(s).rules for s in market.symbols}, fees, fills)
        header = Header(market.label, list(market.symbols), market.span_ms, start_ms, dict(balances))
        self._log = InputLog(path, header)
        for line in self._log.lines:
            self._replay(line)
        # the market begins on a bar; the clock, on its first day, at the very moment that was asked for
        self._anchor = (clock(), self.tape.now_ms if self._log.lines else to_ms(start))
        self._log.lines.clear()

    # time ----------------------------------------------------------------------------------------------------------

    @property
    def lockstep(self) -> bool:
        """Whether time moves by ``advance`` only."""
        return self._speed is None

    @property
    def speed(self) -> float:
        """Seconds of this exchange in one second of the wall; infinite in lock-step."""
        return inf if self._speed is None else self._speed

    def now(self) -> datetime:
        """The exchange's time."""
        return from_ms(self.now_ms())

    def now_ms(self) -> int:
        """The exchange's time in epoch milliseconds; the market has been played up to it."""
        if self._speed is not None:
            self._run_to(self._wall_ms(self._speed))
        return self.tape.now_ms

    def _wall_ms(self, speed: float) -> int:
        since, anchor_ms = self._anchor
        return anchor_ms + int((self._clock() - since) * speed * 1000)

    def _run_to(self, target_ms: int) -> None:
        """Play every step that ended by ``target_ms``."""
        step = self.tape.step_ms
        next_end = self.tape.now_ms - self.tape.now_ms % step + step
        if (target_ms - next_end) // step > CATCH_UP_STEPS:
            target_ms = next_end + CATCH_UP_STEPS * step
            self._anchor = (self._clock(), target_ms)
        while next_end <= target_ms and self.market.next_open(next_end - step) is not None:
            self._pass(Line("step", next_end))
            next_end += step
        if target_ms < next_end:
            self.tape.now_ms = max(self.tape.now_ms, target_ms)

    def advance(self) -> datetime | None:
        """The time after the next bar of the market closed, or None when there is none left (lock-step only)."""
        opens = self.market.next_open(self.tape.now_ms)
        if opens is None:
            return None
        self._pass(Line("bar", opens + self.market.span_ms))
        return from_ms(self.tape.now_ms)

    async def run(self) -> None:
        """Keep time passing at ``speed`` until cancelled; returns at the end of a record."""
        if self._speed is None:
            return
        step = self.tape.step_ms
        while self.market.next_open(self.now_ms() - step) is not None:
            left_ms = step - self.tape.now_ms % step
            await asyncio.sleep(max(left_ms / self._speed / 1000, IDLE_S))

    def _pass(self, line: Line) -> None:
        # time that met no order changes nothing but the clock: one line a bar is enough to remember that
        if any(self._venue.open.values()) or line.at % self.market.span_ms == 0:
            self._log.append(line)
        moves = self._play(line)
        for on_moves, on_time in self.listeners:
            on_moves(moves)
            on_time()

    def _play(self, line: Line) -> Moves:
        """Let the market trade up to ``line.at`` against our open orders."""
        length = self.market.span_ms if line.k == "bar" else self.tape.step_ms
        moved: list[Moves] = []
        for symbol in list(self._venue.open):
            row = self.tape.passing(symbol, line.at - length, line.k == "bar")
            terms = self._standing.terms[symbol]
            # a symbol that is halted trades with nobody, its prices of that time are met by no order
            if row is not None and terms.instrument.status == "TRADING":
                bar = _bar(symbol, row, length)
                self._venue, moves = on_bar(self._venue, bar, terms)
                self.history.record(moves)
                moved.append(moves)
        self.tape.now_ms = line.at
        return tuple(move for moves in moved for move in moves)

    # account -------------------------------------------------------------------------------------------------------

    @property
    def venue(self) -> Venue:
        """Our account as it stands."""
        return self._venue

    def totals(self) -> Mapping[str, Decimal]:
        """Total of each asset, free and locked, without zeros: the exchange's own ledger."""
        return self._venue.totals()

    def terms(self, symbol: str) -> Terms:
        """Rules, fees and fills of a symbol."""
        return self._standing.terms[symbol]

    @property
    def rights(self) -> Mapping[str, bool]:
        """What the account's key may do, by the exchange's own names."""
        return self._standing.rights

    def submit(self, ask: Placement, test_only: bool = False) -> Moves:
        """Place one order. Raises Refused; ``test_only`` checks its form and size and changes nothing."""
        line = Line("place", self.now_ms(), order=ask)
        if test_only:
            validate(ask, self._met(ask.symbol), self.terms(ask.symbol))
            return ()
        return self._change(line)

    def submit_list(self, ask: ListPlacement) -> Moves:
        """Place an OCO, OTO or OTOCO list. Raises Refused."""
        return self._change(Line("list", self.now_ms(), list=ask))

    def cancel(self, symbol: str, client_id: str) -> Moves:
        """Cancel an open order and its list. Raises Refused."""
        return self._change(Line("cancel", self.now_ms(), symbol=symbol, client_id=client_id))

    # what others do to the account ---------------------------------------------------------------------------------

    def deposit(self, asset: str, amount: Decimal) -> None:
        """``amount`` (> 0) comes in."""
        self._change(Line("transfer", self.now_ms(), asset=asset, amount=_positive(amount)))

    def withdraw(self, asset: str, amount: Decimal) -> None:
        """``amount`` (> 0) goes out. Raises Refused where less is free."""
        self._change(Line("transfer", self.now_ms(), asset=asset, amount=-_positive(amount)))

    def foreign_order(self, ask: Placement) -> Moves:
        """Place an order as the owner does by hand: under a client id of the exchange's own. Raises Refused."""
        return self.submit(replace(ask, client_id=f"web_{self._venue.next_order_id}"))

    def set_rules(self, symbol: str, **changed: object) -> None:
        """Change fields of the symbol's Instrument or Rules while it is traded. Raises BadData for other names."""
        rules = self._standing.changed_rules(symbol, changed)
        self._change(Line("rules", self.now_ms(), symbol=symbol, rules=rules))

    def set_status(self, symbol: str, status: str) -> None:
        """TRADING, or HALT, BREAK …: then nothing is taken or filled, but orders can be cancelled."""
        self.set_rules(symbol, status=status)

    def set_fees(self, fees: Fees) -> None:
        """Other fees for every trade from now on; with ``bnb_prices`` BNB pays them."""
        self._change(Line("fees", self.now_ms(), fees=fees))

    def set_rights(self, **rights: bool) -> None:
        """Give the key rights or take them, by the names of apiRestrictions. Raises BadData for others."""
        check_rights(rights)
        self._change(Line("rights", self.now_ms(), rights=rights))

    def revoke_key(self) -> None:
        """Delete every key the account has: from now on nothing signed with them is answered."""
        self._change(Line("revoke", self.now_ms(), keys=tuple(key_print(key) for key in self.keys)))

    def _change(self, line: Line) -> Moves:
        """Work the input out, log it, and only then let it be so."""
        venue, moves = self._worked_out(line)
        self._log.append(line)
        self._adopt(line, venue, moves)
        for on_moves, _ in self.listeners:
            on_moves(moves)
        return moves

    def _worked_out(self, line: Line) -> tuple[Venue, Moves]:
        if line.order is not None:
            symbol = line.order.symbol
            return place(self._venue, line.order, self._met(symbol), self.terms(symbol), line.at)
        if line.list is not None:
            symbol = line.list.legs[0].symbol
            return place_list(self._venue, line.list, self._met(symbol), self.terms(symbol), line.at)
        if line.asset:
            return transfer(self._venue, line.asset, line.amount), ()
        return cancel(self._venue, line.symbol, line.client_id, line.at) if line.client_id else (self._venue, ())

    def _adopt(self, line: Line, venue: Venue, moves: Moves) -> None:
        """Let a worked out input be so."""
        self._venue, self._standing = venue, self._standing.after(line)
        self.history.record(moves)
        if line.asset:
            self.history.transfers.append(Transfer(line.at, line.asset, line.amount))
        if line.rules is not None:
            self.tape.set_rules(line.symbol, line.rules)
        if line.keys:
            self.keys = self._standing.valid(self.keys)

    def _met(self, symbol: str) -> Liquidity:
        found = self.tape.liquidity(symbol)
        if found is None:
            raise CLOSED
        return found

    def _replay(self, line: Line) -> None:
        if line.k in ("bar", "step"):
            self._play(line)
            return
        self.tape.now_ms = line.at
        try:
            self._adopt(line, *self._worked_out(line))
        except Refused as fault:
            raise BadData(f"the exchange's log does not fit this market: {fault.user_text}") from fault

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()


def _check_start(market: Market, start_ms: int) -> None:
    if market.next_open(start_ms) is None:
        raise BadData(f"{market.label} has no bars from {from_ms(start_ms):%Y-%m-%d} on: choose an earlier start")


def _positive(amount: Decimal) -> Decimal:
    if not amount > 0:
        raise BadData(f"{amount} cannot be moved: an amount is above 0")
    return amount


def _bar(symbol: str, row: Row, length_ms: int) -> Bar:
    o, h, l, c, v = (as_decimal(x) for x in row[1:])  # noqa: E741
    return Bar(symbol, from_ms(row.open_ms), timedelta(milliseconds=length_ms), o, h, l, c, v)
