"""What the trend-pullback rule did on recorded hours: `python bench/rule_table.py FOLDER`.

Every bet is the analyst's own: entered at the next open, resolved pessimistically, one at a time for each symbol.
``even`` is the win rate that only just pays both fees (0.1 % each) and 2 bp of slippage a side; ``z`` is the mean
lead over it in standard errors; ``net`` the mean result of a bet after costs, in per cent of the money in it.
"paying" are bets whose Kelly share was positive on the lower bound known at that moment.
"""

from __future__ import annotations

import csv
import gzip
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.domain.market import to_ms
from core.learn.analyst import BET, Analyst
from core.learn.outcomes import COUNT, LEFT, LOSS, WIN, WON

SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT", "LTCUSDT", "XRPUSDT", "ADAUSDT", "BNBUSDT", "DOGEUSDT")
COST = 2 * 0.001 + 2 * 0.0002
HOUR = timedelta(hours=1)


def year_ms(year: int) -> int:
    return to_ms(datetime(year, 1, 1, tzinfo=UTC))


PERIODS = {
    "2017-2019": (0, year_ms(2020)),
    "2020-2021": (year_ms(2020), year_ms(2022)),
    "2022": (year_ms(2022), year_ms(2023)),
    "2023": (year_ms(2023), year_ms(2024)),
    "2022, first 2000 h": (year_ms(2022), year_ms(2022) + 2000 * 3_600_000),
}


@dataclass(frozen=True, slots=True)
class Bet:
    """One finished bet of the rule, and what was known when it was made."""

    at_ms: int
    p_win: float
    p_low: float
    win: float
    loss: float
    weight: float

    @property
    def even(self) -> float:
        return (self.loss + COST) / (self.win + self.loss)

    @property
    def kelly(self) -> float:
        return self.p_low / (self.loss + COST) - (1 - self.p_low) / (self.win - COST)

    @property
    def net(self) -> float:
        return self.weight * (self.win + self.loss) - self.loss - COST


def bets_of(path: Path, symbol: str) -> Iterator[Bet]:
    """Every finished bet, in order, read from the analyst's own state after each bar."""
    analyst = Analyst(symbol, HOUR)
    made: tuple[int, float, float] = (0, 0.0, 0.0)
    with gzip.open(path, "rt") as lines:
        for row in list(csv.reader(lines))[1:]:
            before = analyst._state[BET:]
            analyst.take(int(row[0]), *map(float, row[1:6]))
            after = analyst._state[BET:]
            if after[COUNT] > before[COUNT]:
                yield Bet(*made, before[WIN], before[LOSS], after[WON] - before[WON])
            if after[LEFT] and (not before[LEFT] or after[COUNT] > before[COUNT]):
                made = (int(row[0]), *analyst._chance())


def line(name: str, bets: Sequence[Bet]) -> str:
    if len(bets) < 2:
        return f"{name:28s} {len(bets):5d}"
    n = len(bets)
    leads = [bet.weight - bet.even for bet in bets]
    mean = sum(leads) / n
    spread = math.sqrt(sum((lead - mean) ** 2 for lead in leads) / (n - 1))
    rate = sum(bet.weight for bet in bets) / n
    even = sum(bet.even for bet in bets) / n
    net = sum(bet.net for bet in bets) / n
    return f"{name:28s} {n:5d} {rate:7.1%} {even:7.1%} {mean / spread * math.sqrt(n):+6.1f} {net:+8.2%}"


def main(folder: Path) -> None:
    book = {symbol: list(bets_of(folder / f"binance_{symbol}_1h.csv.gz", symbol)) for symbol in SYMBOLS}
    print(f"{'period, symbols':28s} {'bets':>5s} {'won':>7s} {'even':>7s} {'z':>6s} {'net':>8s}")
    for name, (start, end) in PERIODS.items():
        chosen = {s: [bet for bet in bets if start <= bet.at_ms < end] for s, bets in book.items()}
        for symbol, bets in chosen.items():
            print(line(f"{name} {symbol}", bets))
        print(line(f"{name} all", [bet for bets in chosen.values() for bet in bets]))
        print(line(f"{name} paying", [bet for bets in chosen.values() for bet in bets if bet.kelly > 0]))
    print(f"\n{'known on 2022-01-01':28s} {'bets':>5s} {'p':>7s} {'p_low':>7s}")
    for symbol, bets in book.items():
        first = next(bet for bet in bets if bet.at_ms >= year_ms(2022))
        past = sum(bet.at_ms < first.at_ms for bet in bets)
        print(f"{symbol:28s} {past:5d} {first.p_win:7.1%} {first.p_low:7.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python bench/rule_table.py FOLDER (with binance_BTCUSDT_1h.csv.gz and its sisters)")
    main(Path(sys.argv[1]))
