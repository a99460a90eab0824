"""Seconds from ``kill -9`` with 20 orders open to the end of the start-up: all compared, the stream heard again.

Run: ``python bench/bench_recovery.py [--kills N]``. Mode testnet as a process, beside `firstmate exchange` and
`firstmate chat-server`; 10 positions with a stop and a target each are built up in a quick town, then everything
goes on at the speed of the wall, and the assistant is killed at random moments and started again at once. Between two
kills lie 10 to 20 s: a start reads much, and who starts seven times in a minute is asked by the exchange to wait.
The figure includes Python's own start. Trust the ratios: the machine is shared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.blackbox import judge
from tests.blackbox.market import SYMBOLS
from tests.blackbox.town import Client, Town, founded, yesterday
from tests.blackbox.traders import ASSISTANT

SEED = 1
QUICK = 40.0
HELD = SYMBOLS[:10]
OPEN = 2 * len(HELD)
BUILT_WITHIN_S = 120.0
AWAKE_WITHIN_S = 90.0
LIFE_S = (10.0, 20.0)
HEARD = '"the stream of our orders is connected"'


def open_orders(town: Town) -> int:
    """How many orders stand at the exchange."""
    return sum(order["status"] in judge.LIVE for order in town.truth()["orders"])


def build(town: Town) -> None:
    """Let the assistant buy until every position has its stop and target, then end it properly."""
    client = town.client("build", *ASSISTANT.words)
    try:
        client.wait_until(lambda: open_orders(town) >= OPEN, f"{OPEN} open orders", BUILT_WITHIN_S)
        client.stop()
    finally:
        client.kill()


def awake(town: Town, name: str) -> tuple[Client, float]:
    """A client started now, and the seconds until its start was through."""
    began = time.monotonic()
    client = town.client(name, *ASSISTANT.words)
    client.wait_until(lambda: HEARD in client.err, "the end of the start", AWAKE_WITHIN_S)
    return client, time.monotonic() - began


def measure(town: Town, kills: int) -> list[float]:
    """Seconds from each kill to the end of the start-up after it; books and exchange agree at the end."""
    dice = Random(SEED)
    client, _ = awake(town, "first")
    taken = []
    try:
        for nth in range(kills):
            time.sleep(dice.uniform(*LIFE_S))
            standing = open_orders(town)
            began = time.monotonic()
            client.kill()
            client, _ = awake(town, f"kill{nth}")
            taken.append(time.monotonic() - began)
            print(f"kill {nth + 1:>2}  {standing} open  {taken[-1]:.2f} s", flush=True)
        client.wait_until(lambda: not ASSISTANT.judged(town, town.truth()), "equal books")
    finally:
        client.kill()
    return taken


def main() -> int:
    """Build, measure, print; 0 where 95 of 100 starts took at most 15 s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    start = yesterday()
    with tempfile.TemporaryDirectory(prefix="firstmate-recovery-") as name:
        folder = Path(name)
        with founded(folder, SEED, QUICK, 0.0, HELD, start=start, still=True) as town:
            build(town)
        with founded(folder, SEED, 1.0, 0.0, HELD, start=start, still=True) as town:
            taken = sorted(measure(town, args.kills))
    p50, p95 = (taken[min(len(taken) - 1, int(len(taken) * share))] for share in (0.5, 0.95))
    print(f"{len(taken)} kills with {OPEN} open orders: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {taken[-1]:.2f} s")
    return int(p95 > 15.0)


if __name__ == "__main__":
    sys.exit(main())
