"""A disk that outlives the process, and a process that dies around a commit: tests.campaign.store and process."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from core.domain.errors import InvariantBroken, StoreUnusable
from tests.campaign.loop import live
from tests.campaign.process import Kill, Process, Reaper, sorted_out
from tests.campaign.store import Disk, InlineDatabase, rows

NOTE = "INSERT INTO updates (update_id, at_ms) VALUES (?, 0)"


class Machine:
    """One disk and the processes that run on it."""

    def __init__(self, *kills: Kill, full: float = 0.0) -> None:
        asyncio.get_running_loop().set_task_factory(sorted_out)
        self.disk = Disk("main", Random(1), full)
        self.reaper = Reaper(list(kills))
        self.notes: list[str] = []
        self.started = 0

    async def run(self, *numbers: int) -> bool:
        """A process that notes these numbers, one transaction each; whether it lived to its end."""
        self.started += 1
        process = Process(self.started, 0.0, self.notes.append)
        database = InlineDatabase(self.disk, process, self.reaper)

        async def main() -> None:
            for number in numbers:
                await database.write(lambda con, n=number: con.execute(NOTE, (n,)).rowcount)

        task = process.start(main())
        died = asyncio.ensure_future(process.dead.wait())
        await asyncio.wait([task, died], return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        await process.bury()
        if task.done() and not task.cancelled() and task.exception():
            raise task.exception() or AssertionError
        return process.dead.is_set() is False

    @property
    def noted(self) -> list[int]:
        """What stands on the disk."""
        return [n for (n,) in rows(self.disk, "SELECT update_id FROM updates ORDER BY update_id")]


def lived(main: object) -> object:
    """What a coroutine function returns, in virtual time."""
    return live(1, main)  # type: ignore[arg-type]


@pytest.mark.parametrize(("after", "kept"), [(False, [1]), (True, [1, 2])])
def test_a_kill_at_a_commit_leaves_all_of_it_or_nothing(after: bool, kept: list[int]):
    """Killed before, the job never happened; killed after, it stands, though nobody lived to hear of it."""

    async def main() -> None:
        machine = Machine(Kill("commit", 2, after))
        assert not await machine.run(1, 2, 3)
        assert machine.noted == kept
        assert await machine.run(7)
        assert machine.noted == [*kept, 7]

    lived(main)


def test_a_full_disk_refuses_in_the_programs_own_words():
    """The error is the one the program knows, and nothing half-written stays."""

    async def main() -> None:
        machine = Machine(full=1.0)
        with pytest.raises(StoreUnusable, match="the disk is full"):
            await machine.run(1)
        machine.disk.full = 0.0
        assert await machine.run(2)
        assert machine.noted == [2]

    lived(main)


def test_what_may_happen_once_only_is_refused_the_second_time():
    """The unique keys of the real migrations hold here too."""

    async def main() -> None:
        machine = Machine()
        with pytest.raises(InvariantBroken):
            await machine.run(1, 1)
        assert machine.noted == [1]

    lived(main)


def test_a_dead_process_does_nothing_more():
    """What it wanted to do while it ends does not reach the disk."""

    async def main() -> None:
        machine = Machine()
        process = Process(1, 0.0, machine.notes.append)
        database = InlineDatabase(machine.disk, process, machine.reaper)

        async def work() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                await database.write(lambda con: con.execute(NOTE, (9,)).rowcount)

        process.start(work())
        await asyncio.sleep(1)
        process.die("in the test")
        await process.bury()
        assert machine.noted == []
        assert machine.notes == ["KILL in the test"]

    lived(main)
