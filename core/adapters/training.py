"""Heavy work in processes of their own: niced, held to an amount of memory, gone with whoever started them.

Rule 1: the work runs in a child that is started afresh, so nothing heavy stays in the caller, and a child that dies by
        whatever cause is one sentence.
Rule 2: memory is held twice: each process by the kernel (RLIMIT_AS), all of them together by looking (RSS summed).
        Where there is none left all the same, the kernel ends the training before anything else.
Rule 3: a child that lost its parent is killed by the kernel (Linux), and so are its workers: nothing trains on alone.
Rule 4: interrupts from the keyboard are for the caller; the child never hears them, the caller ends it.
Rule 5: many machines are Dask's affair: its executor takes the place of the process pool, and nothing else changes.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from core.domain.errors import BadData, FirstmateError, NeedsOwner, RetryLater

G = TypeVar("G")
T = TypeVar("T")
Reached: TypeAlias = Callable[[int, int], None]

NICENESS = 10
FIRST_TO_GO = 1000
LOOK_S = 0.5
REACH_S = 10
PR_SET_PDEATHSIG = 1
SCHEMES = ("tcp", "tls", "ws", "wss")
# LightGBM and scikit-learn load these for frames and plots that nobody here uses: 30 MB a process
UNUSED = ("pandas", "matplotlib", "dask")
NO_ROOM = ("MemoryError", "bad_alloc", "can't start new thread", "failed to map segment", "annot allocate memory")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class TooMuchMemory(NeedsOwner):
    """The work needs more memory than it was given."""

    def __init__(self, memory_mb: int) -> None:
        super().__init__(
            f"Training needs more than the {memory_mb:,} MB it may use: give it more by --memory, or name fewer symbols"
        )


def run(
    work: Callable[[G, Reached], T], given: G, memory_mb: int, reached: Reached, spare: tuple[str, ...] = UNUSED
) -> T:
    """What ``work(given, reached)`` comes to in a child process; ``spare`` are packages it shall not load.

    ``work`` is a function of a module. Raises what it raises where that is one of ours, TooMuchMemory, FirstmateError.
    """
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_begin, args=(there, os.getpid(), memory_mb, spare, work, given))
    try:
        with _no_interrupts():  # what is blocked at the start stays so in the child
            child.start()
        there.close()
        done: T = _outcome(child, here, memory_mb, reached)
        return done
    finally:
        if child.pid:
            _end(child.pid)
            child.join()
        here.close()


def _end(pid: int) -> None:
    """Kill a child and all below it, the lowest first: a worker that lost its parent while it started would say so."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        for one in (*_below(pid), pid):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: a child whose start is interrupted would say so in many lines."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


def _outcome(child: Any, here: Connection, memory_mb: int, reached: Reached) -> Any:
    looked = 0.0
    while True:
        if time.monotonic() - looked > LOOK_S:
            looked = time.monotonic()
            if resident_mb(child.pid) > memory_mb:
                raise TooMuchMemory(memory_mb)
        if not here.poll(LOOK_S):
            continue
        try:
            kind, *said = here.recv()
        except EOFError:
            child.join()
            raise _died(child.exitcode) from None
        if kind == "reached":
            reached(*said)
        elif kind == "done":
            return said[0]
        else:
            raise _failure(said[0], said[1], memory_mb)


def _died(code: int | None) -> FirstmateError:
    how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
    return FirstmateError(f"The training process ended {how} before it was done: is the machine out of memory?")


def _failure(error: BaseException, trace: str, memory_mb: int) -> BaseException:
    if isinstance(error, MemoryError) or any(sign in trace for sign in NO_ROOM):
        return TooMuchMemory(memory_mb)
    if isinstance(error, BrokenProcessPool):
        return FirstmateError("A worker of the training ended before it was done: is the machine out of memory?")
    if isinstance(error, ModuleNotFoundError):
        return NeedsOwner(
            f"{error.name} is missing where it trains: install the same firstmate there, with all it needs"
        )
    error.__cause__ = None if isinstance(error, FirstmateError) else RuntimeError(f"in the training process\n{trace}")
    return error


def _begin(
    there: Connection,
    parent: int,
    memory_mb: int,
    spare: tuple[str, ...],
    work: Callable[[Any, Reached], Any],
    given: Any,
) -> None:
    """The child: what it comes to, or the error it ends with, goes back through the pipe."""
    _tie(parent, memory_mb, spare)
    _stand_back()
    try:
        done = work(given, lambda part, whole: there.send(("reached", part, whole)))
        there.send(("done", done))
    except BaseException as error:
        _tell(there, error)


def _tell(there: Connection, error: BaseException) -> None:
    _hold(None)  # words need memory too, and what there was may be used up
    trace = traceback.format_exc()
    try:
        there.send(("failed", error, trace))
    except Exception:  # it cannot be sent as it is, so its words are
        there.send(("failed", RuntimeError(f"{type(error).__name__}: {error}"), trace))


def _tie(parent: int, memory_mb: int, spare: tuple[str, ...]) -> None:
    """This process dies with ``parent``, hears no Ctrl-C, has one thread, so much memory, and no packages ``spare``."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone already
            os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ONE_THREAD:
        os.environ[name] = "1"
    sys.meta_path.insert(0, _Spared(spare))
    _hold(memory_mb << 20)


def _hold(most: int | None) -> None:
    """Hold this process to so many bytes, or to what it was held to when it began."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # of Unix

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        unbound = hard == resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (hard if most is None else most if unbound else min(most, hard), hard))


def _stand_back() -> None:
    """Others come first, for this process and all it starts: where processor time is short, and where memory is."""
    os.nice(NICENESS)
    with suppress(OSError):  # of Linux: who goes first where the machine, or the service, has no memory left
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))


class _Spared(MetaPathFinder):
    """Says of some packages that they are not there. (An entry None in sys.modules would do, but scikit-learn reads
    that as the package.)"""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Nothing, so that others look; ModuleNotFoundError for what is spared."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is not loaded here", name=fullname)


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all below it, summed; pages they share count once for each. 0 where unknown."""
    pages = 0
    for one in (pid, *_below(pid)):
        with suppress(OSError, ValueError, IndexError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _below(pid: int) -> list[int]:
    """The processes below one, the lowest first; none where the system does not tell."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [*_below(int(child)), int(child)]
    return found


@contextmanager
def pool(processes: int, memory_mb: int) -> Iterator[Executor]:
    """An executor of so many processes on this machine, tied to this one."""
    given = (os.getpid(), memory_mb, UNUSED)
    executor = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_tie, initargs=given)
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def require_reachable(url: str) -> None:
    """Nothing, or BadData for what is no address of a Dask scheduler, RetryLater where nobody listens there."""
    parts = urlsplit(url if "://" in url else f"tcp://{url}")
    with suppress(ValueError):
        if parts.scheme in SCHEMES and parts.hostname and parts.port:
            try:
                _hear(parts.hostname, parts.port, speaks_first=parts.scheme == "tcp")
            except OSError as error:
                raise RetryLater(f"No Dask scheduler answers at {url}: start one, or leave --cluster out") from error
            return
    raise BadData(f"'{url}' is no address of a Dask scheduler: write it like tcp://127.0.0.1:8786")


def _hear(host: str, port: int, *, speaks_first: bool) -> None:
    """Nothing, or OSError where nobody listens, or who should speak first does not: Dask would wait for it for ever."""
    with socket.create_connection((host, port), REACH_S) as line:
        if speaks_first and not line.recv(1):
            raise ConnectionResetError("it hung up")


@contextmanager
def cluster(url: str) -> Iterator[tuple[Executor, Callable[[Any], Any]]]:
    """The executor of the Dask cluster at ``url``, and what hands a value to all its workers once.

    Raises NeedsOwner without the extra `cluster`, RetryLater where no scheduler answers, or nobody works for it.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise NeedsOwner("--cluster needs Dask: pip install 'firstmate[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(url, timeout=REACH_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RetryLater(f"What listens at {url} is no Dask scheduler this one could talk to") from error
    try:
        if not client.scheduler_info()["workers"]:
            raise RetryLater(f"The Dask scheduler at {url} has no workers: start some with `dask worker {url}`")
        with client.get_executor(pure=False) as executor:
            yield executor, lambda value: client.scatter(value, broadcast=True)
    finally:
        client.close()
