"""What must hold before real money is at stake, judged: measurements in, one line each out.

Rule 1: pure: whoever measures hands in values, and for what could not be measured the sentence that says why; what is
        not known has not passed.
Rule 2: every line names what was found, and where it did not pass, the fix.
Rule 3: what stands in nobody's way but is good to know is told as a note; it is not judged.
Rule 4: the same lines stand in the chat and at the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.market import Instrument, Quote
from core.domain.orders import Order, OrderKind, Purpose, Side, Tif
from core.ports import Rights

PHRASE = "I trade real money"
PHRASE_VALID = timedelta(minutes=15)
PAPER_TRADES_MIN = 20
PAPER_DAYS_MIN = 7
CLOCK_OFF_MAX_MS = 500.0
FREE_MB_MIN = 1_000
STOP_BELOW = Decimal("0.05")
LIMIT_BELOW = Decimal("0.055")
TARGET_ABOVE = Decimal("0.05")
EXPIRY_NEAR = timedelta(days=14)
ROOM = Decimal("1.05")  # the smallest order, and a little more: prices move while it is tried out
NO_MODEL = "No model of live's own has passed its gate yet: it will watch and train, and buy nothing until one has."
TAKE_OVER = "to take over one that passed on paper: FIRSTMATE_MODE=live ./run models promote ID --from paper"
BY_KEY = ("key rights", "clock", "symbols", "protection")

LABELS = {
    "enableWithdrawals": "Enable Withdrawals",
    "enableInternalTransfer": "Enable Internal Transfer",
    "permitsUniversalTransfer": "Permits Universal Transfer",
    "enableMargin": "Enable Margin Loan, Repay & Transfer",
    "enableFutures": "Enable Futures",
    "enableVanillaOptions": "Enable European Options",
    "enablePortfolioMarginTrading": "Enable Portfolio Margin Trading",
    "enableReading": "Enable Reading",
    "enableSpotAndMarginTrading": "Enable Spot & Margin Trading",
    "ipRestrict": "Restrict access to trusted IPs only",
}
"""The exchange's names of rights as its page for API keys shows them."""


@dataclass(frozen=True, slots=True)
class Hurdle:
    """One check: its name, whether it passed, what was measured, and the fix where it did not pass.

    ``looked`` is False for one that has to wait for another; it has not passed. ``judged`` is False for a note, which
    passes whatever it says.
    """

    name: str
    passed: bool
    found: str
    fix: str = ""
    looked: bool = True
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured; a text in place of a value says why there is none.

    ``practice`` are the times at which paper round trips opened and closed; ``chat`` and ``key`` say what is missing
    to reach the owner and the account, "what: the fix", empty when nothing is, and without a key nothing is measured by
    it; ``rights`` are judged as of ``at``; ``rules`` are the rules of each symbol; ``clock_off_ms`` is positive where
    ours is fast; ``tried`` is empty when the exchange took the trial orders; ``own_model`` says whether a model of
    live's own can forecast.
    """

    practice: Sequence[tuple[datetime, datetime]] | str
    chat: str
    key: str
    rights: Rights | str
    clock_off_ms: float | str
    rules: Mapping[str, Instrument] | str
    tried: str
    live_pid: int | None
    free_mb: int
    own_model: bool
    at: datetime


def hurdles(symbols: Sequence[str], measured: Measured) -> tuple[Hurdle, ...]:
    """Every check in the order in which one would mend it."""
    return (
        practice(measured.practice),
        chat(measured.chat),
        key(measured.key),
        *_of_account(symbols, measured),
        alone(measured.live_pid),
        disk(measured.free_mb),
        *([] if measured.own_model else [Hurdle("model", True, NO_MODEL, TAKE_OVER, judged=False)]),
    )


def _of_account(symbols: Sequence[str], measured: Measured) -> tuple[Hurdle, ...]:
    """What the account is asked by its key: without one, only what would be."""
    if measured.key:
        return tuple(Hurdle(name, False, "not looked at: no usable key", looked=False) for name in BY_KEY)
    return (
        rights(measured.rights, measured.at),
        clock(measured.clock_off_ms),
        rules(symbols, measured.rules),
        protection(measured.tried),
    )


def practice(found: Sequence[tuple[datetime, datetime]] | str) -> Hurdle:
    """Enough paper trades over enough days."""
    name = "paper trades"
    fix = f"let it trade on paper until {PAPER_TRADES_MIN} round trips over {PAPER_DAYS_MIN} days are closed"
    if isinstance(found, str):
        return Hurdle(name, False, found, fix)
    if not found:
        return Hurdle(name, False, "no round trip was closed on paper", fix)
    days = (max(closed for _, closed in found) - min(opened for opened, _ in found)) / timedelta(days=1)
    text = f"{len(found)} closed on paper over {days:.1f} days"
    passed = len(found) >= PAPER_TRADES_MIN and days >= PAPER_DAYS_MIN
    return Hurdle(name, passed, text, "" if passed else fix)


def chat(missing: str) -> Hurdle:
    """The bot's token and its owner."""
    return _set_up("chat", "the bot's token and its owner are set", missing)


def key(missing: str) -> Hurdle:
    """The exchange's key, its secret, and an address that hides them."""
    return _set_up("key", "the exchange's key and secret are set", missing)


def _set_up(name: str, well: str, missing: str) -> Hurdle:
    found, _, fix = missing.partition(": ")
    return Hurdle(name, not missing, found or well, fix)


def rights(found: Rights | str, now: datetime) -> Hurdle:
    """A key that can trade spot from here and do nothing else."""
    name = "key rights"
    if isinstance(found, str):
        fix = "look at the key on the exchange's page for API keys, then try again"
        return Hurdle(name, False, f"not known: {found}", fix)
    if found.too_much or found.missing:
        return Hurdle(name, False, _wrong(found), _remedy(found))
    text = "reading and spot trading from trusted addresses, nothing else"
    if found.expires_at is None:
        return Hurdle(name, True, text)
    until = f"{found.expires_at:%Y-%m-%d %H:%M} UTC"
    if found.expires_at <= now:
        fix = "extend it on the exchange's page for API keys, or make a new key"
        return Hurdle(name, False, f"its right to trade ended on {until}", fix)
    near = found.expires_at - now <= EXPIRY_NEAR
    return Hurdle(name, True, f"{text}; the right to trade ends on {until}: extend it soon" if near else text)


def rights_fault(found: Rights | str, now: datetime) -> str:
    """One line naming each right that is wrong, with the fix; empty when all are well."""
    judged = rights(found, now)
    return "" if judged.passed else f"The exchange's key cannot be used: {judged.found}; {judged.fix}."


def _wrong(found: Rights) -> str:
    parts = [
        f"it {verb} {', '.join(names)}"
        for verb, names in (("may do too much:", found.too_much), ("lacks", found.missing))
        if names
    ]
    return "; ".join(parts)


def _remedy(found: Rights) -> str:
    ticks = [f"untick “{LABELS.get(n, n)}”" for n in found.too_much]
    ticks += [f"tick “{LABELS.get(n, n)}”" for n in found.missing]
    return f"on the exchange's page for API keys {', '.join(ticks)}"


def clock(off_ms: float | str) -> Hurdle:
    """A clock the exchange will accept orders from."""
    fix = "let this machine keep its time (timedatectl set-ntp true)"
    if isinstance(off_ms, str):
        return Hurdle("clock", False, f"not known: {off_ms}", fix)
    passed = abs(off_ms) < CLOCK_OFF_MAX_MS
    side = "fast" if off_ms > 0 else "slow"
    return Hurdle("clock", passed, f"{abs(off_ms):.0f} ms {side} of the exchange's", "" if passed else fix)


def rules(symbols: Sequence[str], found: Mapping[str, Instrument] | str) -> Hurdle:
    """Filters, fees and status of each symbol."""
    fix = "take what cannot be traded out of FIRSTMATE_SYMBOLS"
    if isinstance(found, str):
        return Hurdle("symbols", False, f"not known: {found}", fix)
    wrong = [f"{symbol} {why}" for symbol in symbols if (why := _untradable(found.get(symbol)))]
    if wrong:
        return Hurdle("symbols", False, ", ".join(wrong), fix)
    dearest = max(found[symbol].taker_fee for symbol in symbols)
    text = f"{len(symbols)} read with filters and fees (up to {dearest * 100:.4f} % a trade)"
    return Hurdle("symbols", True, text)


def _untradable(instrument: Instrument | None) -> str:
    if instrument is None:
        return "has no rules"
    return "" if instrument.status == "TRADING" else f"is {instrument.status}"


def protection(tried: str) -> Hurdle:
    """Whether the exchange would take an entry with its stop and its target."""
    if not tried:
        return Hurdle(
            "protection", True, "the exchange would take an entry, its stop and its target (nothing was placed)"
        )
    return Hurdle("protection", False, tried, "mend what the exchange names, then try again")


def alone(live_pid: int | None) -> Hurdle:
    """Nobody else trades live on this state folder."""
    if live_pid is None:
        return Hurdle("alone", True, "no other process trades live here")
    return Hurdle("alone", False, f"process {live_pid} trades live here already", "stop it first")


def disk(free_mb: int) -> Hurdle:
    """Room for the journal."""
    if free_mb >= FREE_MB_MIN:
        return Hurdle("disk", True, f"{free_mb / 1000:.1f} GB free")
    return Hurdle("disk", False, f"{free_mb} MB free", f"free some space: {FREE_MB_MIN} MB are wanted")


def trial_orders(rule: Instrument, quote: Quote, at: datetime) -> tuple[Order, Order, Order]:
    """The smallest entry of a symbol with its stop and its target, to be tried out and never placed."""
    entry_price = rule.ceil_price(quote.ask)
    stop_price = rule.floor_price(quote.bid * (1 - STOP_BELOW))
    limit_price = rule.floor_price(quote.bid * (1 - LIMIT_BELOW))
    target_price = rule.ceil_price(quote.ask * (1 + TARGET_ABOVE))
    # what sells for the least must still be worth the minimum
    least = max(rule.qty_min, rule.notional_min * ROOM / limit_price)
    qty = rule.floor_qty(least)
    qty = qty if qty >= least else qty + rule.lot

    def order(purpose: Purpose, side: Side, kind: OrderKind, price: Decimal, stop: Decimal | None, tif: Tif) -> Order:
        return Order(
            f"fm-trial-{purpose}", rule.symbol, side, kind, purpose, qty, at, price=price, stop_price=stop, tif=tif
        )

    return (
        order(Purpose.ENTRY, Side.BUY, OrderKind.LIMIT, entry_price, None, Tif.FOK),
        order(Purpose.STOP, Side.SELL, OrderKind.STOP_LOSS_LIMIT, limit_price, stop_price, Tif.GTC),
        order(Purpose.TARGET, Side.SELL, OrderKind.LIMIT_MAKER, target_price, None, Tif.GTC),
    )


def phrase_fault(typed_at: datetime | None, now: datetime) -> str:
    """Why the phrase in the chat does not count, with the fix; empty when it does."""
    if typed_at is None:
        return f"The phrase was not typed: send /mode live in the chat, then “{PHRASE}”."
    if not timedelta(0) <= now - typed_at <= PHRASE_VALID:
        minutes = PHRASE_VALID // timedelta(minutes=1)
        return f"The phrase was typed at {typed_at:%Y-%m-%d %H:%M} UTC and holds for {minutes} minutes: type it again."
    return ""


def lines(found: Sequence[Hurdle]) -> Iterator[str]:
    """The checks as text, the fix under what did not pass."""
    width = max(len(hurdle.name) for hurdle in found)
    for hurdle in found:
        judged = "passed" if hurdle.passed else "FAILED" if hurdle.looked else ""
        mark = judged if hurdle.judged else "note"
        yield f"{mark:6}  {hurdle.name:{width}}  {hurdle.found}"
        if hurdle.fix:
            yield f"{'':6}  {'':{width}}  fix: {hurdle.fix}"
