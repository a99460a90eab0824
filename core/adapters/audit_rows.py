"""What the audit keeps of one committed step: the owner's words, limits, settings, trust, stops and starts, orders.

Rule 1: rows follow from the journal line alone, whose number they bear; most lines (bars, ticks, fills) leave none.
Rule 2: what changed is kept with its old and its new value, whoever changed it.
Rule 3: an order leaves a row when it is planned, asked for again, and each time its state changes, to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from core.adapters.audit import MACHINE, Deed, What
from core.adapters.readmodel import changed_orders
from core.domain import events as ev
from core.domain.effects import Cancel, Effect
from core.domain.market import to_ms
from core.domain.orders import Order
from core.domain.state import Config, Limits, State
from core.ports import Change

_ANSWERS = {ev.OwnerApproved: What.APPROVED, ev.OwnerSkipped: What.SKIPPED}
_EVERY_EVENT = frozenset(spec.name for spec in fields(ev.OwnerEvent))
_LIMITS = [spec.name for spec in fields(Limits)]
# limits and time zone are compared as they come to hold, not as they are configured
_SETTINGS = [spec.name for spec in fields(Config) if spec.name not in ("limits", "time_zone")]

Finding = tuple[What, str, dict[str, object]]


def deeds(change: Change, owner: str) -> list[Deed]:
    """The rows of one step, in order; ``owner`` is the actor for what the owner said."""
    actor = owner if _said(change.event) else MACHINE
    return [
        Deed(to_ms(change.event.at), actor, what, subject, {**details, "line": change.after.seq})
        for what, subject, details in _findings(change.before, change.after, change.event, change.effects)
    ]


def _said(event: ev.Event) -> bool:
    """Whether a person said it: what the machine says in the owner's place has a number no chat gives."""
    return isinstance(event, ev.OwnerEvent) and event.update_id >= 0


def _findings(before: State, after: State, event: ev.Event, effects: Sequence[Effect]) -> Iterator[Finding]:
    if isinstance(event, ev.OwnerEvent):
        yield _word(before, event)
    if isinstance(event, ev.AccessLost):
        yield What.KEY_LOST, "", {"text": event.text}
    yield from _differences(before, after)
    for order in changed_orders(before, after, effects):
        yield from _order(before.orders.get(order.client_id), order)
    for effect in effects:
        if isinstance(effect, Cancel):
            yield What.CANCEL, effect.client_id, {"symbol": effect.symbol}


def _word(before: State, event: ev.OwnerEvent) -> Finding:
    """The owner's word with what it held; a second delivery of the same one is kept too, and marked."""
    details: dict[str, object] = {
        spec.name: getattr(event, spec.name) for spec in fields(event) if spec.name not in _EVERY_EVENT
    }
    details["update"] = event.update_id
    if event.update_id in before.updates:
        details["again"] = True
    what = _ANSWERS.get(type(event), What.COMMAND)
    subject = event.intent if isinstance(event, ev.OwnerApproved | ev.OwnerSkipped) else type(event).__name__
    return what, subject, details


def _differences(before: State, after: State) -> Iterator[Finding]:
    if before.limits is not after.limits:
        yield from _fields(What.LIMIT, _LIMITS, before.limits, after.limits)
    if before.config is not after.config:
        yield from _fields(What.SETTING, _SETTINGS, before.config, after.config)
    if before.time_zone != after.time_zone:
        yield What.SETTING, "time_zone", {"old": before.time_zone, "new": after.time_zone}
    if before.trust != after.trust:
        told = {"old": _who(before), "was": before.trust.share, "share": after.trust.share, "why": after.trust.why}
        yield What.TRUST, _who(after), told
    old, new = before.trading, after.trading
    if (old.state, old.reason) != (new.state, new.reason):
        yield What.TRADING, new.state.value, {"old": old.state.value, "why": new.reason, "was": old.reason}


def _who(state: State) -> str:
    """Who forecasts."""
    return state.trust.model_id or "rule"


def _fields(what: What, names: Sequence[str], old: object, new: object) -> Iterator[Finding]:
    for name in names:
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield what, name, {"old": was, "new": now}


def _order(old: Order | None, new: Order) -> Iterator[Finding]:
    if old is None:
        yield What.ORDER, new.client_id, _plan(new)
    elif (old.state, old.asked_at) != (new.state, new.asked_at):
        yield What.ORDER, new.client_id, {**_stand(new), "was": old.state.value}


def _plan(order: Order) -> dict[str, object]:
    return {
        **_stand(order),
        "symbol": order.symbol,
        "side": order.side.value,
        "kind": order.kind.value,
        "purpose": order.purpose.name,
        "qty": order.qty,
        "price": order.price,
        "stop_price": order.stop_price,
    }


def _stand(order: Order) -> dict[str, object]:
    told = {"exchange_id": order.exchange_id, "reason": order.reason, "asked_at": order.asked_at}
    filled = {"filled_qty": order.filled_qty, "filled_quote": order.filled_quote} if order.filled_qty else {}
    return {"state": order.state.value, **filled, **{name: value for name, value in told.items() if value}}
