"""What became of the rule's past entries: one virtual bet at a time, folded like everything else.

Rule 1: an entry decided on a bar is made at the next bar's open, never at the price that decided it.
Rule 2: pessimistic inside a bar: where one bar touches stop and target the stop counts, and a gap through the stop
fills at the open. A target passed by the open itself was reached before anything else.
Rule 3: a bet that runs out of time counts as the part of a win it is worth, ``(move + loss) / (win + loss)``, so a
win weighs 1, a loss 0; a gap through the stop weighs less than 0, for it cost more than one loss.
Rule 4: bets of one symbol never overlap: two bets on the same bars would be one outcome counted twice.
"""

from __future__ import annotations

import math

from core.learn.folds import State

LEFT = 0  # bars the bet may still last; 0: no bet
ENTRY = 1  # price of entry; 0: waiting for the next open
LOSS = 2
WIN = 3
WON = 4
LOST = 5
COUNT = 6
BET_SIZE = 7

WORST = -1.0


def open_bet(s: State, i: int, win: float, loss: float, horizon: int) -> None:
    """Enter at the next bar's open, unless a bet is running: moves are fractions of the entry price."""
    if s[i + LEFT] == 0.0:
        s[i + LEFT] = horizon
        s[i + ENTRY] = 0.0
        s[i + WIN] = win
        s[i + LOSS] = loss


def settle(s: State, i: int, open_: float, high: float, low: float, close: float) -> None:
    """Let one bar pass over the running bet and book its outcome once it has one."""
    if s[i + LEFT] == 0.0:
        return
    if s[i + ENTRY] == 0.0:
        s[i + ENTRY] = open_
    s[i + LEFT] -= 1.0
    move = moved(s, i, open_, high, low, close)
    if move == move:
        _book(s, i, move)


def moved(s: State, i: int, open_: float, high: float, low: float, close: float) -> float:
    """The move the bet ended with in this bar, as a fraction of its entry; NaN while it goes on."""
    entry = s[i + ENTRY]
    stop = entry * (1.0 - s[i + LOSS])
    target = entry * (1.0 + s[i + WIN])
    if open_ <= stop:
        return open_ / entry - 1.0
    if open_ >= target:
        return s[i + WIN]
    if low <= stop:
        return -s[i + LOSS]
    if high >= target:
        return s[i + WIN]
    if s[i + LEFT] == 0.0:
        return close / entry - 1.0
    return math.nan


def _book(s: State, i: int, move: float) -> None:
    weight = (move + s[i + LOSS]) / (s[i + WIN] + s[i + LOSS])
    weight = min(max(weight, WORST), 1.0)
    s[i + WON] += weight
    s[i + LOST] += 1.0 - weight
    s[i + COUNT] += 1.0
    s[i + LEFT] = 0.0
