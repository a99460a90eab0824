"""What one seed means: the world, its faults, the kills and the owner's moods, drawn once before the life begins.

Rule 1: everything here follows from the seed; nothing later asks for more chance than it was given a source of.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from core.sim.exchange.fault_plan import FaultPlan
from tests.campaign.process import Kill

TELEGRAM_EVERY = 8
"""One life in so many has the real bot and the real chat core; the others a plain outlet, for speed."""
WIDE: dict[str, Decimal | int] = {
    "orders_per_min_max": 30,
    "orders_open_max": 20,
    "gross_exposure_max": Decimal("0.8"),
    "day_loss_max": Decimal("0.2"),
    "drawdown_max": Decimal("0.25"),
}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "LINKUSDT")


@dataclass(frozen=True, slots=True)
class Plan:
    """One life: ``bars`` minutes of trouble, then calm until everything is settled.

    ``without_lists`` are symbols at which an entry cannot bring its protection.
    """

    seed: int
    symbols: tuple[str, ...]
    bars: int
    swing: float
    thin: float
    appetite: float
    approve: str
    fee_in: str
    coins: dict[str, Decimal]
    faults: FaultPlan
    kills: tuple[Kill, ...]
    clock_steps: tuple[tuple[float, float], ...]
    disk_full: float
    moods: int
    horizon: tuple[int, int]
    first_start_s: float
    telegram: bool
    without_lists: tuple[str, ...]
    limits: dict[str, Decimal | int]


def plan_of(seed: int, *, faults: bool = True) -> Plan:
    """The life of this seed; without ``faults`` nothing fails, dies or steps, and the owner only says yes."""
    rng = Random(f"plan {seed}")
    symbols = tuple(sorted(rng.sample(SYMBOLS, rng.randint(2, 4))))
    bars = rng.randint(16, 34)
    fee_in = rng.choice(("own", "own", "BNB", "BNB runs out"))
    coins = {"USDT": Decimal(10_000)}
    if fee_in != "own":
        coins["BNB"] = Decimal("5") if fee_in == "BNB" else Decimal("0.006")
    for symbol in symbols:
        if rng.random() < 0.3:
            coins[symbol.removesuffix("USDT")] = Decimal(rng.choice(("0.3", "2", "0.00001", "7.123")))
    return Plan(
        seed=seed,
        symbols=symbols,
        bars=bars,
        swing=rng.uniform(0.002, 0.006),
        thin=rng.choice((1.0, 1.0, 0.3, 0.05)),
        appetite=rng.uniform(0.25, 0.7),
        approve="auto" if rng.random() < 0.6 else "ask",
        fee_in=fee_in,
        coins=coins,
        faults=FaultPlan(share=rng.uniform(0.05, 0.25), lag_s=rng.uniform(5, 60)) if faults else FaultPlan(share=0.0),
        kills=_kills(rng, bars) if faults and rng.random() < 0.5 else (),
        clock_steps=_steps(rng, bars) if faults and rng.random() < 0.3 else (),
        disk_full=rng.choice((0.0, 0.0, 0.0, 0.003)) if faults else 0.0,
        moods=rng.randint(0, 8) if faults else 0,
        horizon=(2, rng.randint(3, 8)),
        first_start_s=rng.uniform(0.0, 60.0),
        telegram=faults and seed % TELEGRAM_EVERY == 0,
        without_lists=tuple(s for s in symbols if Random(f"lists {seed} {s}").random() < 0.2),
        limits=_limits(Random(f"limits {seed}")) if faults else dict(WIDE),
    )


def _limits(rng: Random) -> dict[str, Decimal | int]:
    """Limits that are met in some lives, and not in the others."""
    tight: dict[str, Decimal | int] = {
        "orders_per_min_max": 5,
        "orders_open_max": rng.choice((4, 6)),
        "gross_exposure_max": Decimal("0.25"),
        "day_loss_max": Decimal("0.004"),
        "drawdown_max": Decimal("0.004"),
    }
    return {**WIDE, **{name: tight[name] for name in tight if rng.random() < 0.15}}


def _kills(rng: Random, bars: int) -> tuple[Kill, ...]:
    def one() -> Kill:
        what = rng.choice(("commit", "commit", "call", "call", "time"))
        at = {"commit": rng.randint(1, bars * 10), "call": rng.randint(1, bars * 25), "time": rng.uniform(5, bars * 60)}
        return Kill(what, at[what], rng.random() < 0.5 and what != "time")

    return tuple(one() for _ in range(rng.randint(1, 5)))


def _steps(rng: Random, bars: int) -> tuple[tuple[float, float], ...]:
    """Moments (seconds) and how far the machine's clock is off from then on (seconds)."""
    times = sorted(rng.uniform(10, bars * 60) for _ in range(rng.randint(1, 3)))
    return tuple((at, rng.choice((0.0, rng.uniform(-2, 2), rng.uniform(-30, 30)))) for at in times)
