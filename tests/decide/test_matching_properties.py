"""What holds for any orders and any bars: core.decide.matching under random play."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.costs import Fees, Fills, Terms
from core.decide.matching import cancel, on_bar, place, place_list, transfer
from core.decide.venue import Balance, Liquidity, ListPlacement, Move, Rules, Venue
from core.domain.errors import Refused
from core.domain.orders import Side
from tests.decide.matching_rig import INSTRUMENT, QUOTE, START_MS, ask, bar

D = Decimal
INITIAL = {"USDT": D(50_000), "BTC": D(300), "BNB": D(2)}
TRAILED = replace(INSTRUMENT, trail_min_bips=1, trail_max_bips=5000)
TERMS = Terms(Rules(TRAILED), Fees(bnb_prices={"USDT": D(500)}), Fills(pieces_max=20, seed=3))

prices = st.integers(8_000, 12_500).map(lambda n: str(D(n) / 100))
sizes = st.integers(60, 200_000).map(lambda n: str(D(n) / 1000))
sides = st.sampled_from(["BUY", "SELL"])
kinds = st.sampled_from(["LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "MARKET"])


@st.composite
def bars(draw):
    o, c = draw(st.integers(8_500, 12_000)), draw(st.integers(8_500, 12_000))
    high = max(o, c) + draw(st.integers(0, 400))
    low = min(o, c) - draw(st.integers(0, 400))
    text = " ".join(str(D(n) / 100) for n in (o, high, low, c))
    return "bar", text, str(draw(st.integers(0, 2_000)))


orders = st.tuples(st.just("order"), kinds, sides, sizes, prices, prices, st.sampled_from(["GTC", "IOC", "FOK"]))
lists = st.tuples(st.just("list"), st.booleans(), sides, sizes, st.integers(1, 900), st.integers(1, 900))
brackets = st.tuples(st.just("bracket"), sizes, st.integers(-50, 300), st.integers(1, 900), st.integers(0, 3000))
trails = st.tuples(st.just("trail"), kinds, sides, sizes, st.integers(1, 3000), st.one_of(st.just(""), prices))
transfers = st.tuples(st.just("transfer"), st.sampled_from(["USDT", "BTC", "BNB"]), st.integers(-400, 400))
cancels = st.tuples(st.just("cancel"), st.integers(0, 20))
scripts = st.lists(st.one_of(orders, lists, brackets, trails, transfers, cancels, bars()), min_size=5, max_size=40)


class Run:
    """One random life of a venue: what was done, and everything that moved."""

    def __init__(self):
        self.venue = Venue(balances={asset: Balance(amount) for asset, amount in INITIAL.items()})
        self.quote = QUOTE
        self.count = 0
        self.hour = 0
        self.moves = []
        self.brought = defaultdict(Decimal, INITIAL)

    def play(self, script):
        for action in script:
            self.count += 1
            try:
                self.venue, moves = getattr(self, action[0])(*action[1:])
            except Refused:
                continue
            self.moves += moves
            yield action, [m for m in moves if isinstance(m, Move)]

    def order(self, kind, side, size, price, stop, tif):
        asked = ask(
            kind,
            side,
            size,
            "" if kind == "MARKET" else price,
            stop if "STOP" in kind or "PROFIT" in kind else "",
            f"o{self.count}",
            tif if kind == "LIMIT" else "GTC",
        )
        return place(self.venue, asked, self.quote, TERMS, self._now())

    def list(self, chained, side, size, up, down):
        mid = self.quote.mid
        top, bottom = str(mid + D(up) / 100), str(mid - D(down) / 100)
        maker, stop = (top, bottom) if side == "SELL" else (bottom, top)
        legs = (
            ask("STOP_LOSS_LIMIT", side, size, stop, stop, f"s{self.count}"),
            ask("LIMIT_MAKER", side, size, maker, "", f"t{self.count}"),
        )
        entry = ask("LIMIT", "BUY" if side == "SELL" else "SELL", size, str(mid), "", f"e{self.count}")
        asked = ListPlacement(f"l{self.count}", legs, entry if chained else None)
        return place_list(self.venue, asked, self.quote, TERMS, self._now())

    def bracket(self, size, above, far, trail):
        """An entry that fills whole or not at all, with the pair of what the fee leaves of it, nearly."""
        mid = self.quote.mid
        stop = ask("STOP_LOSS_LIMIT", "SELL", size, str(mid / 2 // D("0.01") * D("0.01")), "", f"s{self.count}")
        level = (mid - D(far) / 100) if not trail else None
        legs = (
            replace(stop, stop_price=level, trail_bips=trail),
            ask("LIMIT_MAKER", "SELL", size, str(mid + D(far) / 100), "", f"t{self.count}"),
        )
        kept = D(size) * D("0.999") // D("0.001") * D("0.001")
        legs = tuple(replace(leg, qty=kept) for leg in legs)
        entry = ask("LIMIT", "BUY", size, str(mid + D(above) / 100), "", f"e{self.count}", "FOK")
        return place_list(self.venue, ListPlacement(f"l{self.count}", legs, entry), self.quote, TERMS, self._now())

    def trail(self, kind, side, size, bips, stop):
        if kind not in ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
            kind = "STOP_LOSS_LIMIT"
        price = "30" if side == "SELL" else "300"
        asked = replace(ask(kind, side, size, price, stop, f"o{self.count}"), trail_bips=bips)
        return place(self.venue, asked, self.quote, TERMS, self._now())

    def transfer(self, asset, amount):
        after = transfer(self.venue, asset, D(amount) / 8)
        self.brought[asset] += D(amount) / 8
        return after, ()

    def cancel(self, index):
        live = self.venue.open.get("BTCUSDT", ())
        name = live[index % len(live)].client_id if live else "none"
        return cancel(self.venue, "BTCUSDT", name, self._now())

    def bar(self, text, volume):
        one = bar(text, volume, self.hour)
        self.hour += 1
        after = on_bar(self.venue, one, TERMS)
        self.quote = Liquidity(one.close - D("0.01"), one.close + D("0.01"), one.volume, D("0.01"))
        return after

    def _now(self):
        return START_MS + self.hour * 3_600_000


@settings(max_examples=120, deadline=None)
@given(scripts)
def test_money_is_conserved_to_the_last_unit(script):
    """Each asset is what it was, plus what fills brought, minus what fills and fees took: exactly."""
    run = Run()
    for _, moved in run.play(script):
        assert all(b.free >= 0 and b.locked >= 0 for b in run.venue.balances.values()), moved
    expected = defaultdict(Decimal, run.brought)
    for trade in (m.trade for m in run.moves if isinstance(m, Move) and m.trade):
        sign = 1 if trade.side is Side.BUY else -1
        expected["BTC"] += sign * trade.qty
        expected["USDT"] -= sign * trade.qty * trade.price
        expected[trade.fee_asset] -= trade.fee
    assert run.venue.totals() == {asset: amount for asset, amount in expected.items() if amount}


@settings(max_examples=80, deadline=None)
@given(scripts)
def test_what_is_locked_is_what_open_orders_hold(script):
    """No money stays locked without an order, and no order works without its money."""
    run = Run()
    for _ in run.play(script):
        held = defaultdict(Decimal)
        for order in run.venue.open.get("BTCUSDT", ()):
            held[order.held_asset] += order.held
        assert {a: b.locked for a, b in run.venue.balances.items() if b.locked} == {a: h for a, h in held.items() if h}


@settings(max_examples=80, deadline=None)
@given(scripts)
def test_no_bar_gives_more_than_its_share_or_a_price_it_never_saw(script):
    """Fills of a bar stay within the volume share and, for makers, within its range; takers pay at most the impact."""
    run = Run()
    for action, moved in run.play(script):
        made = [m.trade for m in moved if m.trade]
        if action[0] != "bar":
            continue
        _, high, low, _ = (D(text) for text in action[1].split())
        assert sum(t.qty for t in made) <= D(action[2]) * TERMS.fills.volume_share
        worst = TERMS.fills.impact_max + TERMS.fills.half_spread + D("0.004")
        for trade in made:
            slack = D(0) if trade.maker else worst
            assert low * (1 - slack) <= trade.price <= high * (1 + slack)


@settings(max_examples=60, deadline=None)
@given(scripts)
def test_no_order_fills_beyond_its_limit_or_its_size(script):
    """A limit is a promise in both directions: never a worse price, never more than asked."""
    run = Run()
    for _, moved in run.play(script):
        for move in moved:
            assert move.order.filled_qty <= move.order.qty
            if move.trade and move.order.price:
                worse = move.trade.price - move.order.price
                assert (worse if move.trade.side is Side.BUY else -worse) <= 0


@settings(max_examples=40, deadline=None)
@given(scripts)
def test_the_same_script_gives_the_same_venue_and_ids_only_grow(script):
    """Nothing but the inputs decides, and no trade or order number is used twice."""
    first, second = Run(), Run()
    for run in (first, second):
        for _ in run.play(script):
            pass
    assert first.venue == second.venue
    numbers = [m.trade.trade_id for m in first.moves if isinstance(m, Move) and m.trade]
    assert numbers == sorted(set(numbers))
    assert replace(first.venue, finished=()) == replace(second.venue, finished=())


@settings(max_examples=80, deadline=None)
@given(scripts)
def test_a_trailing_stop_only_ever_comes_nearer(script):
    """While it follows the market, a seller's level never falls and a buyer's never rises."""
    run, seen = Run(), {}
    for _ in run.play(script):
        for order in run.venue.open.get("BTCUSDT", ()):
            if order.trail_bips and order.best:
                before = seen.get(order.order_id, order.trigger_price)
                gained = order.trigger_price - before
                assert (gained if order.side is Side.SELL else -gained) >= 0
                seen[order.order_id] = order.trigger_price


@settings(max_examples=80, deadline=None)
@given(scripts)
def test_a_bracket_is_whole_or_nothing(script):
    """An entry that must fill whole leaves either its whole quantity bought, or no trade and no leg."""
    run = Run()
    for action, moved in run.play(script):
        if action[0] != "bracket":
            continue
        last = {m.order.client_id[0]: m.order for m in moved}
        bought = sum(m.trade.qty for m in moved if m.trade)
        assert (last["e"].status.value, bought) in (("FILLED", last["e"].qty), ("EXPIRED", 0))
        assert last["s"].live == last["t"].live
        assert last["e"].status.value == "FILLED" or not last["s"].live


@given(st.integers(1, 200_000), st.integers(1, 20), st.integers(0, 9), st.integers(0, 10**9))
def test_an_execution_in_pieces_is_the_same_execution(lots, most, seed, order_id):
    """At most so many parts, none empty, all on the lot grid, together exactly the whole; the same each time."""
    fills = Fills(pieces_max=most, seed=seed)
    lot = D("0.001")
    parts = fills.pieces(lots * lot, lot, str(order_id))
    assert sum(parts) == lots * lot
    assert 1 <= len(parts) <= most
    assert all(part > 0 and part % lot == 0 for part in parts)
    assert parts == fills.pieces(lots * lot, lot, str(order_id))
