"""Heavy work in processes of its own: what comes back, what it is denied, and that it ends with its caller."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from core.adapters import training
from core.adapters.training import TooMuchMemory, cluster, pool, require_reachable, resident_mb, run
from core.domain.errors import BadData, FirstmateError, NeedsOwner, RetryLater

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: /proc and parent-death signals")
MB = 700


def doubled(given, reached):
    reached(1, 2)
    reached(2, 2)
    return given * 2


def surroundings(given, reached):
    with pool(1, MB) as executor:
        worker = executor.submit(os.nice, 0).result()
    return os.getpid(), os.nice(0), worker, os.environ["OMP_NUM_THREADS"]


def refusing(given, reached):
    raise BadData("the third line is no bar")


def breaking(given, reached):
    raise KeyError(given)


def dying(given, reached):
    os.kill(os.getpid(), signal.SIGKILL)


def greedy(given, reached):
    return len(bytearray(given << 20))


def crowded(given, reached):
    """Each process stays below the cap, both together do not."""
    with pool(1, MB) as executor:
        working = executor.submit(holding, given)
        holding(given)
        return working.result()


def holding(megabytes):
    held = bytearray(megabytes << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(30)
    return len(held)


def importing(given, reached):
    import sklearn.utils.validation

    try:
        import pandas
    except ImportError:
        return sklearn.__name__
    return pandas.__name__


def unsendable(given, reached):
    raise type("Odd", (Exception,), {})("nobody else knows this error")


def no_progress(done, total):
    return None


def test_what_the_work_comes_to_and_how_far_it_is_come_back():
    """The caller sees each step and then the result."""
    told = []
    assert run(doubled, 21, MB, lambda *said: told.append(said)) == 42
    assert told == [(1, 2), (2, 2)]


def test_the_work_and_its_workers_give_way_to_everybody_else():
    """Another process, niced by ten, with one thread: the assistant beside it is not slowed down."""
    pid, nice, of_worker, threads = run(surroundings, None, MB, no_progress)
    assert pid != os.getpid()
    assert (nice, of_worker) == (min(os.nice(0) + 10, 19),) * 2
    assert threads == "1"


def test_an_error_of_ours_comes_back_as_itself():
    """What was wrong with the data is said in the work's own sentence."""
    with pytest.raises(BadData, match="the third line is no bar"):
        run(refusing, None, MB, no_progress)


def test_an_error_nobody_foresaw_says_where_it_happened():
    """The log shows the line in the other process, not only the pipe."""
    with pytest.raises(KeyError) as caught:
        run(breaking, "nobody", MB, no_progress)
    assert "in breaking" in str(caught.value.__cause__)


def test_an_error_that_cannot_travel_is_told_in_words():
    """An error of a kind that only the other process knows still says what it is."""
    with pytest.raises(RuntimeError, match="Odd: nobody else knows this error"):
        run(unsendable, None, MB, no_progress)


def test_a_process_that_dies_is_one_sentence():
    """A child killed from outside, as by a machine that ran out of memory, is told as such."""
    with pytest.raises(FirstmateError, match="ended by signal 9 before it was done"):
        run(dying, None, MB, no_progress)


@LINUX
def test_more_memory_than_given_is_refused_with_the_way_out():
    """A process that asks for more than its cap gets a sentence that names the option, not a crash."""
    with pytest.raises(TooMuchMemory, match=r"more than the 700 MB .* --memory"):
        run(greedy, 2 * MB, MB, no_progress)


def narrow(sign, reached):
    try:
        raise OSError(f"some.so: {sign}")
    except OSError as error:
        raise ImportError("a library cannot be loaded") from error


def threadless(_, reached):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("work", "given"),
    [
        (narrow, "failed to map segment from shared object"),
        (narrow, "cannot allocate memory in static TLS block"),
        (narrow, "[Errno 12] Cannot allocate memory"),
        (threadless, None),
    ],
)
def test_a_library_that_finds_no_room_is_a_lack_of_memory(work, given):
    """Each has words of its own for it, and some only below what they say first."""
    with pytest.raises(TooMuchMemory):
        run(work, given, 4 * MB, no_progress)


@LINUX
def test_processes_that_together_hold_too_much_are_ended():
    """The cap is for the work as a whole: two processes of half as much each are one too many."""
    with pytest.raises(TooMuchMemory):
        run(crowded, 270, 500, no_progress)


def test_what_is_spared_is_not_loaded_and_not_missed():
    """Packages that only cost memory look absent, and scikit-learn works without them."""
    assert run(importing, None, 2 * MB, no_progress) == "sklearn"


@LINUX
def test_the_memory_of_all_processes_below_is_seen():
    """What a child holds counts as well."""
    before = resident_mb(os.getpid())
    child = subprocess.Popen(
        [sys.executable, "-c", "held = bytearray(b'x' * (90 << 20)); print(len(held), flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        child.stdout.readline()
        assert resident_mb(os.getpid()) > before + 80
        child.stdin.close()
    assert resident_mb(2**22 + 1) == 0


SLEEPING = """
import sys, time
sys.path.insert(0, {root!r})
from core.adapters.training import run
from tests.adapters.test_training import asleep
if __name__ == "__main__":
    run(asleep, None, 700, lambda *pids: print(*pids, flush=True))
"""


def asleep(given, reached):
    with pool(1, MB) as executor:
        worker = executor.submit(os.getpid).result()
        reached(os.getpid(), worker)
        executor.submit(time.sleep, 300).result()


@LINUX
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_works_on_when_its_caller_has_ended(signal_, tmp_path):
    """However the caller ends, its child and that child's workers end with it."""
    script = tmp_path / "caller.py"
    script.write_text(SLEEPING.format(root=str(ROOT)))
    caller = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=heard,
    )
    with caller:
        pids = [int(word) for word in caller.stdout.readline().split()]
        assert all(map(alive, pids))
        caller.send_signal(signal_)
        caller.wait(30)
    assert len(pids) == 2
    until = time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def heard() -> None:
    """Let a child hear Ctrl-C, also where these tests run in the background and nobody here does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("url", ["somewhere", "tcp://127.0.0.1", "ftp://127.0.0.1:21", "tcp://127.0.0.1:port", ""])
def test_what_is_no_address_of_a_cluster_is_refused(url):
    """A slip in --cluster is a sentence that shows how one is written."""
    with pytest.raises(BadData, match=r"write it like tcp://127\.0\.0\.1:8786"):
        require_reachable(url)


def test_a_cluster_nobody_serves_is_refused_at_once():
    """Where nobody listens nothing is begun."""
    with pytest.raises(RetryLater, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        require_reachable("tcp://127.0.0.1:9")


@pytest.mark.parametrize("hangs_up", [False, True])
def test_what_listens_but_is_no_scheduler_is_refused(monkeypatch, hangs_up):
    """A slip in the port, of the dashboard for one: whoever never speaks, or hangs up, would be waited for for ever."""
    monkeypatch.setattr(training, "REACH_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        if hangs_up:
            Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
        with pytest.raises(RetryLater, match=f"No Dask scheduler answers at {url}: start one"):
            require_reachable(url)


def test_a_cluster_without_the_extra_says_what_to_install(monkeypatch):
    """Dask is an extra: without it the option names the command that brings it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NeedsOwner, match=r"firstmate\[cluster\]"), cluster("tcp://127.0.0.1:9"):
        raise AssertionError("nothing could have been opened")


def test_a_cluster_does_the_work_and_is_handed_values_once():
    """What is shared arrives at the cluster's workers as the value itself; the results come back."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    options = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as local:
        require_reachable(local.scheduler_address)
        with cluster(local.scheduler_address) as (executor, share):
            assert executor.submit(sum, share([1, 2, 3])).result() == 6


def test_a_cluster_without_workers_is_refused():
    """A scheduler nobody works for would keep the training waiting for ever."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    options = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None, "processes": False}
    with (
        distributed.LocalCluster(n_workers=0, **options) as local,
        pytest.raises(RetryLater, match="has no workers"),
        cluster(local.scheduler_address),
    ):
        raise AssertionError("nobody could have worked")


def test_the_words_for_a_missing_package_name_the_fix():
    """A cluster machine that lacks a part says which, and what to do."""
    said = training._failure(ModuleNotFoundError("No module named 'lightgbm'", name="lightgbm"), "", MB)
    assert isinstance(said, NeedsOwner)
    assert "lightgbm is missing where it trains" in said.user_text


def held(given, reached):
    import resource

    with pool(1, MB) as executor:
        worker = executor.submit(resource.getrlimit, resource.RLIMIT_AS).result()
    return resource.getrlimit(resource.RLIMIT_AS), worker


@LINUX
def test_the_kernel_holds_each_process_to_its_memory():
    """No process can ask for more than all may hold together, however fast it asks."""
    assert [soft for soft, _ in run(held, None, MB, no_progress)] == [MB << 20, MB << 20]


def full(given, reached):
    held_on_to, size = [], 1 << 20
    while True:
        try:
            held_on_to.append(bytearray(size))
        except MemoryError:
            if size == 64:
                raise
            size //= 2


@LINUX
def test_a_process_without_any_memory_left_can_still_say_so():
    """Words need memory too: the limit is lifted once the work is over."""
    with pytest.raises(TooMuchMemory):
        run(full, None, MB, no_progress)


def ranked(given, reached):
    with pool(1, MB) as executor:
        worker = executor.submit(Path("/proc/self/oom_score_adj").read_text).result()
    return Path("/proc/self/oom_score_adj").read_text(), worker


@LINUX
def test_where_the_machine_has_no_memory_left_the_training_goes_first():
    """The kernel ends what can be done again, not who watches over positions."""
    assert run(ranked, None, MB, no_progress) == ("1000\n", "1000\n")
