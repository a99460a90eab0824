"""Lives in the tree this runs in, a line of JSON each: the seed and what was violated. Run by the planted bugs' runner.

Rule 1: everything of the program comes from the folder this is started in; anything else would judge another program.
Rule 2: every third seed is lived without faults as well: there no alarm is due, protection has two seconds,
        and something is bought.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from tests.campaign.life import Result, live_once

CALM_EVERY = 3
PROTECTED_WITHIN_S = 2.0
MISSED = "nothing was bought (the price had moved on)"  # no fault: it fills whole or not at all


def violations(seed: int) -> list[tuple[str, str]]:
    """Kind and text of everything that was wrong in the lives of this seed."""
    found = _lived(seed, faults=True).violations
    if seed % CALM_EVERY == 1:
        trace: list[str] = []
        calm = _lived(seed, faults=False, trace=trace)
        found = [*found, *calm.violations]
        found += [("late", f"a stop came after {s:.1f} s") for s in calm.protected_s if s > PROTECTED_WITHIN_S]
        found += [] if calm.protected_s else [("idle", "nothing was bought in a whole life without faults")]
        found += [("false alarm", line) for line in trace if " tell !ERROR" in line and MISSED not in line]
    return found


def _lived(seed: int, *, faults: bool, trace: list[str] | None = None) -> Result:
    gc.collect()
    gc.disable()
    try:
        return live_once(seed, faults=faults, say=None if trace is None else trace.append)
    except Exception as error:
        return Result(seed, violations=[("broken", f"{type(error).__name__}: {error}")])
    finally:
        gc.enable()


def check_home(home: Path) -> None:
    """Raises RuntimeError where a module of the program was not taken from ``home``."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in ("core", "bot", "tests") and file and not Path(file).is_relative_to(home):
            raise RuntimeError(f"{name} was taken from {file}, not from {home}")


def main(argv: list[str]) -> int:
    """Live the seeds from the first to the last named, both included."""
    for seed in range(int(argv[0]), int(argv[1]) + 1):
        found = violations(seed)
        check_home(Path.cwd())
        print(json.dumps({"seed": seed, "violations": found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
