"""Keeps the memory of this process to itself: it holds keys.

Rule 1: no core is ever written, and where the system has it (Linux) no other process of the same user may look into
        this one: not by ptrace, not through /proc/PID/{mem,environ,maps}.
Rule 2: a system that lacks the one or the other is no reason not to work; `seal` tells whether both were reached.
"""

from __future__ import annotations

import ctypes
import sys

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4


def seal() -> bool:
    """Whether everything of Rule 1 holds from now on, for this process and, as to cores, for all it starts."""
    return all((_no_cores(), _no_onlookers()))


def _no_cores() -> bool:
    try:
        import resource  # of Unix
    except ImportError:
        return False
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


def _no_onlookers() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return bool(libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
