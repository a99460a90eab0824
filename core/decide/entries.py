"""Entries: from a closed bar to a proposal or an order, and what the owner's thumb does to a proposal.

Rule 1: one position or proposal a symbol; whatever is decided, a Decision says so with its reason.
Rule 2: an approval is gated again at the price of now, and asks again whether who forecast it may buy.
Rule 3: an unchanged refusal is told once, not at every bar.
Rule 4: what becomes of a proposal is kept as a decision of its own: ordered, or not and why.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide.naming import intent_name
from core.decide.placing import entry_order, kept_qty, protective_pair, send, trail_bips, with_position
from core.decide.risk import at_price, gate
from core.decide.signal import unknown_to, want
from core.domain.effects import Decided, Effect, Submit, SubmitBracket, Tell, Topic
from core.domain.events import BarSeen, OwnerApproved
from core.domain.market import ZERO
from core.domain.orders import Approved, Refusal, SizeStep, Wanted
from core.domain.state import Decision, Outcome, Position, Proposal, State, drop, put

Stepped = tuple[State, tuple[Effect, ...]]

TOO_LATE = Refusal("TOO_LATE", "The time to approve has run out.")
SKIPPED = Refusal("SKIPPED", "Skipped.")
PANIC = Refusal("PANIC", "Dropped: panic button.")
# reasons that no limit gave: part of every quiet hour, or the owner's own wish
QUIET_CODES = frozenset(
    {"NO_FORECAST", "NO_SETUP", "NO_EDGE", "ALREADY_IN", "ALREADY_ASKED", "TOO_LATE", "SKIPPED", "PANIC"}
)


def consider(state: State, event: BarSeen) -> Stepped:
    """Decide about one closed bar: order, propose, or say why not."""
    verdict, steps = _verdict(state, event)
    if isinstance(verdict, Refusal):
        return _refuse(state, event, verdict, steps)
    wanted = verdict.wanted
    intent = intent_name(wanted.symbol, event.bar.open_at)
    outcome = Outcome.ORDERED if state.config.approve_auto else Outcome.PROPOSED
    decision = _decision(event, outcome, None, steps, wanted, verdict.qty, intent)
    noted = _note(state, decision)
    if state.config.approve_auto:
        after, effects = enter(noted, intent, verdict, event.at)
        return after, (Decided(decision), *effects, Tell(Topic.ORDERED, intent, decision=decision))
    expires = event.at + timedelta(seconds=state.config.approve_window_s)
    proposal = Proposal(intent, wanted, verdict.qty, decision, expires)
    after = noted.with_(proposals=put(state.proposals, intent, proposal))
    return after, (Decided(decision), Tell(Topic.SIGNAL, intent, urgent=True, decision=decision))


def _verdict(state: State, event: BarSeen) -> tuple[Approved | Refusal, tuple[SizeStep, ...]]:
    symbol = event.bar.symbol
    if symbol in state.positions:
        return Refusal("ALREADY_IN", f"{symbol} is already held or being bought."), ()
    if any(o.live and o.symbol == symbol for o in state.orders.values()):
        return Refusal("ALREADY_IN", f"Orders of {symbol} still stand on the exchange."), ()
    if any(p.wanted.symbol == symbol for p in state.proposals.values()):
        return Refusal("ALREADY_ASKED", f"A proposal for {symbol} still waits for an answer."), ()
    if event.at < state.fences.get(symbol, event.at):
        return _in_doubt(symbol), ()
    wanted, steps = want(state, event.bar, event.forecast, event.silence)
    if isinstance(wanted, Refusal):
        return wanted, steps
    return gate(state, wanted, event.at), steps


def _in_doubt(symbol: str) -> Refusal:
    return Refusal("SALE_IN_DOUBT", f"An earlier sale of {symbol} could still arrive: nothing new is bought yet.")


def _refuse(state: State, event: BarSeen, refusal: Refusal, steps: tuple[SizeStep, ...]) -> Stepped:
    outcome = _outcome(refusal)
    decision = _decision(event, outcome, refusal, steps)
    before = _last_refusal(state, event.bar.symbol)
    effects: tuple[Effect, ...] = (Decided(decision),)
    if outcome is Outcome.REFUSED and before != refusal.code:
        effects = (*effects, Tell(Topic.REFUSAL, event.bar.symbol, refusal.sentence, decision=decision))
    return _note(state, decision), effects


def _outcome(refusal: Refusal) -> Outcome:
    return Outcome.QUIET if refusal.code in QUIET_CODES else Outcome.REFUSED


def _last_refusal(state: State, symbol: str) -> str:
    last = state.decisions.get(symbol)
    return last.refusal.code if last and last.refusal else ""


def _decision(
    event: BarSeen,
    outcome: Outcome,
    refusal: Refusal | None,
    steps: tuple[SizeStep, ...],
    wanted: Wanted | None = None,
    qty: Decimal = ZERO,
    intent: str = "",
) -> Decision:
    return Decision(
        symbol=event.bar.symbol,
        at=event.at,
        bar_open_at=event.bar.open_at,
        price=event.bar.close,
        outcome=outcome,
        refusal=refusal,
        forecast=event.forecast,
        steps=steps,
        qty=qty,
        stop=wanted.stop if wanted else ZERO,
        target=wanted.target if wanted else ZERO,
        intent=intent,
    )


def _note(state: State, decision: Decision) -> State:
    return state.with_(decisions=put(state.decisions, decision.symbol, decision))


def enter(state: State, intent: str, approved: Approved, at: datetime) -> Stepped:
    """Reserve the position and send its entry, together with what will protect it where lists are allowed."""
    wanted = approved.wanted
    entry = entry_order(state, intent, approved, at)
    trail = trail_bips(wanted.stop, wanted.ref_price) if state.config.trail_stops else 0
    position = Position(
        wanted.symbol, intent, wanted.stop, wanted.target, wanted.horizon_bars, at, trail_bips=trail, tries=1
    )
    after = with_position(state, position)
    if entry.price is None:
        return send(after, entry, at=at), (Submit(entry),)
    kept = kept_qty(state, wanted.symbol, entry.qty, entry.price)
    # the legs are the first of their kind; what is placed later counts on from there
    first = replace(position, tries=0)
    stop, target = protective_pair(after, first, kept, at, waits_for=entry.client_id)
    return send(after, entry, stop, target, at=at), (SubmitBracket(entry, stop, target),)


def approve(state: State, event: OwnerApproved) -> Stepped:
    """Order a proposal the owner approved, if it still holds at the price of now; one that is gone has no effects."""
    proposal = state.proposals.get(event.intent)
    if proposal is None:
        return state, ()
    if event.at >= proposal.expires_at:
        return _off(state, proposal, TOO_LATE)
    verdict = _again(state, proposal, event.price, event.at)
    if isinstance(verdict, Refusal):
        return _off(state, proposal, verdict, "Not ordered: ")
    ordered = replace(proposal.decision, outcome=Outcome.ORDERED, qty=verdict.qty)
    after, effects = enter(_settled(state, proposal, ordered), event.intent, verdict, event.at)
    return after, (Decided(ordered), *effects, Tell(Topic.ORDERED, event.intent, decision=ordered))


def _off(state: State, proposal: Proposal, refusal: Refusal, lead: str = "") -> Stepped:
    """A proposal leaves the table without an order: kept with its reason, and told."""
    ended = replace(proposal.decision, outcome=_outcome(refusal), refusal=refusal)
    told = Tell(Topic.EXPIRED, proposal.intent, f"{lead}{refusal.sentence}", decision=ended)
    return _settled(state, proposal, ended), (Decided(ended), told)


def _settled(state: State, proposal: Proposal, decision: Decision) -> State:
    """Without the proposal; ``decision`` is noted unless a later bar has been decided on since."""
    after = state.with_(proposals=drop(state.proposals, proposal.intent))
    last = state.decisions.get(decision.symbol)
    return _note(after, decision) if last is None or last.bar_open_at <= decision.bar_open_at else after


def _again(state: State, proposal: Proposal, asked: Decimal | None, at: datetime) -> Approved | Refusal:
    wanted = replace(proposal.wanted, qty=proposal.qty)
    if wanted.symbol in state.positions:
        return Refusal("ALREADY_IN", f"{wanted.symbol} is already held or being bought.")
    if at < state.fences.get(wanted.symbol, at):
        return _in_doubt(wanted.symbol)
    if stranger := unknown_to(state, wanted.forecast):
        return stranger
    price = asked if asked is not None else state.marks[wanted.symbol].bar.close
    half_way = wanted.ref_price + (wanted.target - wanted.ref_price) / 2
    if not wanted.stop < price < half_way:
        return Refusal(
            "PRICE_MOVED", f"The price moved from {wanted.ref_price} to {price}; the bet is another one now."
        )
    return gate(state, at_price(wanted, price), at)


def skip(state: State, intent: str, why: Refusal) -> Stepped:
    """Take a proposal off the table; one that is gone has no effects."""
    proposal = state.proposals.get(intent)
    return _off(state, proposal, why) if proposal else (state, ())


def expire(state: State, at: datetime) -> Stepped:
    """Take every proposal off the table whose time has run out."""
    effects: tuple[Effect, ...] = ()
    for proposal in [p for p in state.proposals.values() if at >= p.expires_at]:
        state, more = _off(state, proposal, TOO_LATE)
        effects = (*effects, *more)
    return state, effects
