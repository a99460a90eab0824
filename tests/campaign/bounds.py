"""What the owner allowed, judged line by line with formulas of our own.

Rule 1: nothing is bought between a pause, a halt or the panic button and the owner's word to go on, nor before the
        first comparison after a start, nor from a proposal past its time.
Rule 2: order rate, the day's loss and the fall from the peak count as the owner's limits say.
Rule 3: what was paid in or out is neither gain nor loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain import events as ev
from core.domain.effects import Effect, Tell, Topic
from core.domain.market import ZERO
from core.domain.orders import Order, Side
from core.domain.state import Limits, State, TradingState
from core.ports import Committed
from tests.campaign.invariants import EXPOSURE_ROOM, Violation

AN_ENTRY_BRINGS = 3
# equity has more digits than a Decimal keeps by default
A_TRIFLE = Decimal("1e-9")
MINUTE = timedelta(minutes=1)


def worth(state: State) -> Decimal:
    """Quote held plus positions at their last close, as far as their coins are in the account; quote units."""
    held = ZERO
    for symbol, position in state.positions.items():
        there = max(ZERO, state.balances.get(state.instruments[symbol].base, ZERO))
        held += min(position.qty, there) * state.marks[symbol].bar.close if symbol in state.marks else ZERO
    return state.balances.get(state.quote, ZERO) + held


def bought(state: State) -> Decimal:
    """Quote that is held in positions at their last close or that live entries may still spend, quote units."""
    buying = sum(
        (o.remaining * (o.price or ZERO) for o in state.orders.values() if o.live and o.side is Side.BUY), ZERO
    )
    return worth(state) - state.balances.get(state.quote, ZERO) + buying


def fall(state: State) -> tuple[Decimal, Decimal]:
    """Loss since the day began and since the peak, as shares of what was there then; negative for a gain."""
    now, day = worth(state), state.day
    return tuple((was - now) / was if was > 0 else ZERO for was in (day.start_equity, day.peak_equity))  # type: ignore[return-value]


def _orders(effects: Sequence[Effect]) -> int:
    """How many orders these effects send for the first time."""
    sent = 0
    for effect in effects:
        named = (getattr(effect, name, None) for name in ("order", "entry", "stop", "target"))
        sent += sum(isinstance(order, Order) and order.asked_at is None for order in named)
    return sent


@dataclass(slots=True)
class Bounds:
    """The owner's word so far; ``stopped`` is what they or a limit stopped trading with, "" while it may go on."""

    stopped: str = ""
    limits: Limits | None = None
    sent: list[tuple[datetime, int]] = field(default_factory=list)
    _updates: set[int] = field(default_factory=set)

    def heard(self, line: Committed) -> None:
        """Take in one committed line, after it was judged."""
        event = line.event
        if isinstance(event, ev.OwnerEvent):
            if event.update_id not in self._updates:
                self._owner(event)
            self._updates.add(event.update_id)
        if isinstance(event, ev.AccessLost):
            self.stopped = "a key that was refused"
        for effect in line.effects:
            if isinstance(effect, Tell) and (effect.topic, effect.ref) == (Topic.STATE, TradingState.HALTED):
                self.stopped = effect.text
        if number := _orders(line.effects):
            self.sent = [(at, n) for at, n in self.sent if line.event.at - at < MINUTE]
            self.sent.append((line.event.at, number))

    def _owner(self, event: ev.OwnerEvent) -> None:
        match event:
            case ev.OwnerPaused() | ev.OwnerPanicked():
                self.stopped = type(event).__name__
            case ev.OwnerResumed():
                self.stopped = ""
            case ev.OwnerSetLimits(limits=limits):
                self.limits = limits

    def check_entry(self, before: State, after: State, event: ev.Event, order: Order) -> None:
        """Whether this entry may be. Raises Violation."""
        name, limits = order.client_id, self.limits or after.limits
        if self.stopped:
            raise Violation("limits", f"{name} was decided after {self.stopped}, and nobody said to go on")
        if limits != after.limits:
            raise Violation("limits", f"{name} was decided by limits the owner has changed")
        recent = sum(n for at, n in self.sent if event.at - at < MINUTE)
        if recent + AN_ENTRY_BRINGS > limits.orders_per_min_max:
            raise Violation("limits", f"{name} was decided with {recent} orders sent of {limits.orders_per_min_max}")
        for what, lost, most in zip(
            ("day", "peak"), fall(after), (limits.day_loss_max, limits.drawdown_max), strict=True
        ):
            if lost >= most:
                raise Violation(
                    "limits", f"{name} was decided {lost:.3%} below the {what}'s equity, {most} is the limit"
                )
        full = bought(before) + order.qty * (order.price or ZERO)
        if full > worth(before) * limits.gross_exposure_max * EXPOSURE_ROOM:
            raise Violation("limits", f"{name} makes {full:.2f} held or on its way, of {worth(before):.2f}")
        proposal = before.proposals.get(getattr(event, "intent", ""))
        if proposal is not None and event.at >= proposal.expires_at:
            raise Violation("limits", f"{name} was approved at {event.at}, its time ran out at {proposal.expires_at}")

    def check_line(self, before: State, after: State, event: ev.Event) -> None:
        """Whether money that came or went is kept apart, a fall is a halt and time is up. Raises Violation."""
        # coins of a position that are gone shift the day's marks by their own worth
        if isinstance(event, ev.BalancesSeen) and before.balances and before.positions == after.positions:
            moved = after.balances.get(after.quote, ZERO) - before.balances.get(before.quote, ZERO)
            counted = after.day.start_equity - before.day.start_equity
            if abs(counted - moved) > A_TRIFLE:
                raise Violation("gain", f"{moved} {after.quote} came or went, {counted} was counted")
        if isinstance(event, ev.OwnerPanicked) and event.update_id not in self._updates:
            for position in after.positions.values():
                if position.bought_qty and not position.leaving:
                    raise Violation("kept", f"{position.intent} is not left after the panic button")
        if isinstance(event, ev.BarSeen):
            lost, limit = fall(after)[1], after.limits.drawdown_max
            if lost >= limit and after.trading.state is not TradingState.HALTED:
                raise Violation("limits", f"equity fell {lost:.3%}, the limit is {limit}, trading is not halted")
            position = after.positions.get(event.bar.symbol)
            if (
                position
                and not position.leaving
                and position.bought_qty
                and position.bars_held >= position.horizon_bars
            ):
                raise Violation("kept", f"{position.intent} is not left after {position.bars_held} bars")
