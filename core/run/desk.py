"""The bot's only door: every question, and the owner's commands as events.

Rule 1: a command is one event with its update id; the same update again has no effect.
Rule 2: what raises the stakes (a looser limit, trading again after a halt) needs a proof, and where the mode is guarded
        one that a stolen phone cannot give; it is asked for here too, whoever forgot to ask before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.decide.halting import A_PAUSE
from core.domain.effects import Tell, Topic
from core.domain.errors import BadData
from core.domain.events import (
    Event,
    OwnerApproved,
    OwnerMovedStop,
    OwnerPanicked,
    OwnerPaused,
    OwnerResumed,
    OwnerSetLimits,
    OwnerSetTimeZone,
    OwnerSkipped,
)
from core.domain.state import TradingState
from core.ports import BarStore, Clock, MarketData, OrderReport, Records
from core.run.engine import Engine
from core.run.questions import About, Check, Questions
from core.run.reconcile import Reconcile
from core.run.reconciliation import Reconciliation
from core.run.stepup import Proof
from core.run.typed import changed, higher_stop, told

# an open order in the account that is not ours, as the exchange shows it
Stranger = OrderReport


@dataclass(frozen=True, slots=True)
class Asked:
    """Which chat update asked, and the trace that ties it to what follows."""

    update_id: int
    trace: str


async def nowhere(report: Reconciliation) -> None:
    """A comparison that nobody else will ask for is not kept."""


class Desk(Questions):
    """Questions and commands; everything a handler may do. ``keep`` puts comparisons where other programs find them."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        bars: BarStore,
        records: Records,
        about: About,
        health: Callable[[], Sequence[Check]],
        reconcile: Reconcile,
        market: MarketData,
        keep: Callable[[Reconciliation], Awaitable[object]] = nowhere,
    ) -> None:
        super().__init__(engine, clock, bars, records, about, health, market)
        self._reconcile = reconcile
        self._keep = keep
        self._comparing = asyncio.Lock()
        self._last: Reconciliation | None = None
        self._open = False

    async def seen(self, update_id: int) -> bool:
        """Whether a chat update was handled before."""
        return await self._records.seen(update_id)

    async def note(self, update_id: int, text: str) -> None:
        """Keep that a chat update is handled."""
        await self._records.note(update_id, self._clock.now(), text)

    async def reconcile(self, why: str) -> Reconciliation:
        """Everything compared with the exchange now, one after the other. Raises FirstmateError where it is away."""
        async with self._comparing:
            report = self._last = await self._reconcile.full(why)
            await self._keep(report)
        return report

    @property
    def foreign(self) -> tuple[Stranger, ...]:
        """Open orders in the account that are not ours, as last seen."""
        return self._last.foreign if self._last else ()

    # the owner's commands: each one event, answered in one line

    def open(self) -> None:
        """From now on entries may be approved: the books agree with the exchange."""
        self._open = True

    async def approve(self, asked: Asked, intent: str) -> str:
        """Order a proposal. Raises BadData before the books were compared with the exchange."""
        if not self._open:
            raise BadData(
                "I have just started and am still comparing my books with the exchange: try again in a moment."
            )
        proposal = self.state.proposals.get(intent)
        price = await self.price(proposal.wanted.symbol) if proposal else None
        return await self._proposal(OwnerApproved(self._clock.now(), asked.trace, asked.update_id, intent, price))

    async def skip(self, asked: Asked, intent: str) -> str:
        """Drop a proposal."""
        return await self._proposal(OwnerSkipped(self._clock.now(), asked.trace, asked.update_id, intent))

    async def _proposal(self, event: Event) -> str:
        line = await self._engine.post(event)
        tells = [effect for effect in line.effects if isinstance(effect, Tell)]
        if not tells:
            return "This proposal is no longer open."
        return "Ordered." if tells[-1].topic is Topic.ORDERED else tells[-1].text

    async def pause(self, asked: Asked) -> str:
        """No new entries; positions stay protected and may be left."""
        if self.state.trading.state is TradingState.HALTED:
            return "Trading is halted already; that is stronger than a pause."
        await self._engine.post(OwnerPaused(self._clock.now(), asked.trace, asked.update_id))
        return "Paused: no new entries. Positions keep their stops and targets. /resume lifts it."

    async def resume(self, asked: Asked, proof: Proof = Proof.BUTTON) -> str:
        """Lift a pause, or by a proof a halt. Raises BadData where the proof is too weak."""
        before = self.state.trading.state
        if before is TradingState.ACTIVE:
            return "Trading is active already."
        halted = before is TradingState.HALTED
        if halted:
            self._require(proof)
        shown = proof.value if halted else A_PAUSE
        await self._engine.post(OwnerResumed(self._clock.now(), asked.trace, asked.update_id, shown))
        if self.state.trading.state is TradingState.HALTED:
            return f"Trading was halted meanwhile: {self.state.trading.reason}. /resume asks what that takes."
        forgiven = " The drawdown is measured from here on." if halted else ""
        return f"Trading is active again.{forgiven}"

    async def panic(self, asked: Asked) -> str:
        """Cancel everything, sell everything, halt."""
        held = len(self.state.positions)
        await self._engine.post(OwnerPanicked(self._clock.now(), asked.trace, asked.update_id))
        return (
            f"Halted. {held} position{'s are' if held != 1 else ' is'} being sold. Only /resume starts trading again."
        )

    async def move_stop(self, asked: Asked, symbol: str, text: str) -> str:
        """Move a stop up to a price, or let it follow the price ("trail"). Raises BadData for anything looser."""
        position = self.state.positions.get(symbol)
        if position is None or not position.bought_qty or position.leaving:
            raise BadData(f"There is no position in {symbol} whose stop could be moved.")
        if position.cancel_at:
            raise BadData(f"The stop of {symbol} is being moved right now; try again in a moment.")
        stop = None if text == "trail" else higher_stop(self.state, position, text)
        await self._engine.post(OwnerMovedStop(self._clock.now(), asked.trace, asked.update_id, symbol, stop))
        moved = self.state.positions.get(symbol)
        if moved is None or (moved.stop, moved.trail_bips) == (position.stop, position.trail_bips):
            raise BadData(f"The stop of {symbol} could not be moved: it follows the price already, or is being left.")
        if stop is None:
            return f"The stop of {symbol} follows the price from now on, never down."
        return f"The stop of {symbol} moves up from {position.stop} to {stop}."

    def looser(self, name: str, text: str) -> str:
        """What of a limit would be looser, in words; empty where nothing would. Raises BadData, as setting it does."""
        limits, wanted = self.state.limits, changed(self.state.limits, name, text)
        if getattr(wanted, name) <= getattr(limits, name):
            return ""
        return f"{name} from {told(limits, name)} to {told(wanted, name)}"

    async def tighten(self, asked: Asked, name: str, text: str) -> str:
        """Make one limit tighter. Raises BadData for an unknown name, a bad value or a looser limit."""
        looser = self.looser(name, text)
        if looser:
            raise BadData(f"This would raise {looser}, which needs a proof.")
        return await self._set_limit(asked, name, text)

    async def loosen(self, asked: Asked, name: str, text: str, proof: Proof) -> str:
        """Set one limit to any value it may have. Raises BadData also where the proof is too weak."""
        looser = self.looser(name, text)
        if looser:
            self._require(proof)
        return await self._set_limit(asked, name, text, proof.value if looser else "")

    async def _set_limit(self, asked: Asked, name: str, text: str, proof: str = "") -> str:
        limits, wanted = self.state.limits, changed(self.state.limits, name, text)
        await self._engine.post(OwnerSetLimits(self._clock.now(), asked.trace, asked.update_id, wanted, proof))
        return f"{name} is now {told(wanted, name)} (was {told(limits, name)})."

    def _require(self, proof: Proof) -> None:
        if self.about.guarded and proof is Proof.BUTTON:
            raise BadData(
                "That raises the stakes and needs a second proof. Nothing was changed: send the command again."
            )

    async def set_time_zone(self, asked: Asked, name: str) -> str:
        """Show times in another zone. Raises BadData for a name that is no IANA zone."""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise BadData(f"I know no time zone “{name[:40]}”. Try Europe/Berlin or America/New_York.") from error
        await self._engine.post(OwnerSetTimeZone(self._clock.now(), asked.trace, asked.update_id, name))
        return f"Times are shown in {name} from now on."
