"""One round: a town, a client that is killed and started again at random, the world around it, and the verdict.

Rule 1: everything that is drawn (market, faults, kills, what the owner does) follows from the round's seed; the machine
        adds its own chance, so that a seed names a round and does not repeat it to the microsecond.
Rule 2: most kills come in the moment the exchange takes an order, the others at any moment.
Rule 3: faults begin once the client was awake for the first time. At the end they stop, and the kills too; what differs
        once all had time to settle is a violation.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.blackbox.judge import Finding
from tests.blackbox.town import Client, Town, founded
from tests.blackbox.traders import ASSISTANT, Trader

SPEED = 40.0
SHARE = 0.15
ACTION_S = 20.0
AWAKE_WITHIN_S = 60.0
LOOK_S = 0.5
LIFE_S = (1.0, 11.0)
AIM_AFTER_S = 2.5
AIMED = 0.6
GLANCE_S = 0.004
STIRS_EVERY_S = 1.5
SHOWN_MOST = 3


@dataclass(slots=True)
class Outcome:
    """What a round came to; ``by_hand`` counts what the owner did at the exchange, ``evidence`` is for people."""

    seed: int
    intents: int = 0
    orders: int = 0
    trades: int = 0
    kills: int = 0
    by_hand: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    settled_s: float = 0.0


def play(
    folder: Path,
    seed: int,
    trader: Trader = ASSISTANT,
    *,
    action_s: float = ACTION_S,
    share: float = SHARE,
    kills: bool = True,
) -> Outcome:
    """Play the round of this seed in ``folder``."""
    with founded(folder, seed, SPEED, share) as town:
        game = _Round(town, trader, Random(f"round {seed}"), Outcome(seed))
        try:
            game.act(action_s, share, kills)
            game.settle()
        finally:
            game.client.kill()
    return game.outcome


class _Round:
    """A round under way; ``client`` is the process that lives now."""

    def __init__(self, town: Town, trader: Trader, rng: Random, outcome: Outcome) -> None:
        self._town = town
        self._trader = trader
        self._rng = rng
        self._started = 0
        self._stirs_at = 0.0
        self.outcome = outcome
        self.client = self._start()

    def _start(self) -> Client:
        self._started += 1
        return self._town.client(f"client{self._started}", *self._trader.words)

    def act(self, action_s: float, share: float, kills: bool) -> None:
        """Let the client work for ``action_s`` from its first awakening, and kill it on the way, once at least."""
        self._town.ask("faults", share=0)
        until = time.monotonic() + AWAKE_WITHIN_S
        while not self._trader.awake(self._town, self.client) and time.monotonic() < until and self.client.alive:
            time.sleep(GLANCE_S)
        self._town.ask("faults", share=share)
        until = time.monotonic() + action_s
        while time.monotonic() < until and self.client.alive:
            self._live_until(min(until, time.monotonic() + self._rng.uniform(*LIFE_S)) if kills else until)
            if kills and self.client.alive and (time.monotonic() < until or not self.outcome.kills):
                self.client.kill()
                self.outcome.kills += 1
                self.client = self._start()

    def _live_until(self, dies_at: float) -> None:
        """Watch the client until its time has come, or, where it is aimed at, until the exchange took an order."""
        aimed = self._rng.random() < AIMED
        aims_at = time.monotonic() + AIM_AFTER_S
        known = self._town.placed()
        while time.monotonic() < dies_at and self.client.alive:
            time.sleep(GLANCE_S)
            self._stir()
            now_there = self._town.placed()
            if aimed and now_there > known and time.monotonic() > aims_at:
                return
            known = now_there

    def _stir(self) -> None:
        """What the owner does by himself, now and then."""
        if time.monotonic() < self._stirs_at:
            return
        self._stirs_at = time.monotonic() + STIRS_EVERY_S
        draw, amount = self._rng.random(), self._rng.randint(20, 90)
        if draw < 0.06:
            done = self._town.ask("deposit", asset="USDT", amount=amount)
        elif draw < 0.10:
            done = self._town.ask("withdraw", asset="USDT", amount=amount)
        elif draw < 0.14:
            manual = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": amount}
            done = self._town.ask("foreign_order", **manual)
        else:
            return
        self.outcome.by_hand += done is not None

    def settle(self) -> None:
        """Calm the line down and wait until nothing differs, or for so long that it never will."""
        outcome, trader, town = self.outcome, self._trader, self._town
        outcome.faults.update(town.ask("faults", share=0)["faults"])
        began = time.monotonic()
        left = self._look()
        while left and time.monotonic() - began < trader.settle_s and self.client.alive:
            time.sleep(LOOK_S)
            left = self._look()
        outcome.settled_s = time.monotonic() - began
        outcome.intents = trader.intents(town)
        if not self.client.alive:
            left.append(("died", f"ended with {self.client.child.returncode}: {self.client.err[-300:]}"))
        outcome.findings = left
        for _, text in left[:SHOWN_MOST]:
            outcome.evidence += trader.evidence(town, text)

    def _look(self) -> list[Finding]:
        truth = self._town.truth()
        self.outcome.orders, self.outcome.trades = len(truth["orders"]), len(truth["trades"])
        found = self._trader.judged(self._town, truth)
        if not self._trader.awake(self._town, self.client):
            found.append(("stuck", "the start is not through"))
        return found


def kinds(outcome: Outcome) -> set[str]:
    """The kinds of what was found."""
    return {kind for kind, _ in outcome.findings}
