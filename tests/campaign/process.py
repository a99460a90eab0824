"""The program as something that can be killed at any step, and started again over what it left behind.

Rule 1: a killed process does nothing more that anybody could see: whatever it reaches for next never answers it.
Rule 2: it is killed where its plan says: at a moment, or before or after its n-th commit or request.
Rule 3: what belongs to it is known by the context its tasks run in; the world's own tasks survive it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

OWNER: ContextVar[Process | None] = ContextVar("process", default=None)
OUTSIDE = copy_context()


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a process dies: ``what`` is commit, call or time; ``at`` the number or second; ``after`` it or before."""

    what: str
    at: float
    after: bool = False


@dataclass(slots=True)
class Process:
    """One run of the program, from its start to its end; ``left`` is what the machine tidies up after it."""

    number: int
    started: float
    note: Callable[[str], None]
    alive: bool = True
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    left: list[Callable[[], None]] = field(default_factory=list)

    def die(self, why: str) -> None:
        """Stop here and now."""
        if self.alive:
            self.alive = False
            self.note(f"KILL {why}")
            self.dead.set()

    async def reach(self) -> None:
        """Go on, unless this process is dead: then nothing is ever heard of it again."""
        while not self.alive:
            await asyncio.get_running_loop().create_future()

    def start(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The task of ``main``, with everything it will start being of this process."""
        context = copy_context()
        context.run(OWNER.set, self)
        task = context.run(asyncio.get_running_loop().create_task, main)
        self.tasks[task] = None
        return task

    async def bury(self) -> None:
        """Drop every task that is left; a dead process cannot do anything while it ends."""
        self.alive = False
        for _ in range(50):
            alive = [task for task in self.tasks if not task.done()]
            if not alive:
                break
            for task in alive:
                task.cancel()
            await asyncio.wait(alive, timeout=0.001)
        else:
            raise AssertionError(f"a task of process {self.number} will not end: {alive}")
        for let_go in self.left:
            let_go()


def sorted_out(loop: asyncio.AbstractEventLoop, coro: Any, **kw: Any) -> asyncio.Task[Any]:
    """A task factory that remembers which process a task belongs to."""
    context = kw.get("context")
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **kw)
    process = context.get(OWNER) if context is not None else OWNER.get()
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


def outside(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task of the world: it lives on when the process that caused it dies."""
    return asyncio.get_running_loop().create_task(coro, context=OUTSIDE)


@dataclass(slots=True)
class Reaper:
    """Carries out a plan of kills over all processes of one life; counts commits and calls across restarts."""

    kills: list[Kill]
    commits: int = 0
    calls: int = 0

    def meets(self, what: str, number: int, after: bool) -> bool:
        """Whether a process is to die at this step; each kill happens once."""
        for kill in self.kills:
            if kill.what == what and number >= kill.at and kill.after is after:
                self.kills.remove(kill)
                return True
        return False
