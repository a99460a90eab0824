"""`./run campaign`: many seeded lives on all cores, then one table and a hash over every trace.

Rule 1: the hash follows from the seeds alone: not from the number of processes, nor from Python's hash seed.
Rule 2: exit 1 on any violation; the seed and the end of its trace are printed, and `--seed N -v` lives it again.
Rule 3: `--black-box ROUNDS` plays those of ``tests.blackbox`` instead: the program as processes, in real time.
Rule 4: `--planted` plants the bugs of ``tests.campaign.planted``, each in a copy of the program.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.campaign.life import Result, live_once

SHOWN_MOST = 5


def main(argv: list[str] | None = None) -> int:
    """Live the seeds asked for; 0 where nothing was violated."""
    args = _parsed(sys.argv[1:] if argv is None else argv)
    if args.black_box:
        from tests.blackbox.__main__ import main as black_box  # brings what no life in virtual time needs

        return black_box([str(args.black_box), "--from", str(args.start)])
    if args.planted is not None:
        from tests.campaign.planted.__main__ import main as planted

        return planted([*args.planted, "--jobs", str(args.jobs)])
    if args.seed is not None:
        return _one(args.seed, faults=not args.no_faults, verbose=args.verbose)
    seeds = range(args.start, args.start + args.seeds)
    began = time.perf_counter()
    results = []
    for result in lived(seeds, args.jobs, faults=not args.no_faults):
        results.append(result)
        if result.violations:
            print(f"\nseed {result.seed}: {result.violations}", file=sys.stderr, flush=True)
        _progress(len(results), len(seeds), sum(bool(r.violations) for r in results))
    print(file=sys.stderr)
    bad = [r for r in results if r.violations]
    for result in bad[:SHOWN_MOST]:
        print(f"\n== seed {result.seed}: {result.violations}\n" + "\n".join(result.before))
    print(table(results, time.perf_counter() - began))
    return 1 if bad else 0


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=256, help="how many lives; default 256")
    parser.add_argument("--from", dest="start", type=int, default=1, help="the first seed; default 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: all cores")
    parser.add_argument("--seed", type=int, help="one life only, with its trace where it fails")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: print its whole trace")
    parser.add_argument("--planted", nargs="*", metavar="NAME", help="plant bugs, these or all: which are caught")
    parser.add_argument("--black-box", type=int, metavar="ROUNDS", help="processes that are killed, in real time")
    parser.add_argument("--no-faults", action="store_true", help="nothing fails: how long a fill stays unprotected")
    return parser.parse_args(argv)


def _one(seed: int, *, faults: bool, verbose: bool) -> int:
    result = live_once(seed, faults=faults, say=print if verbose else None)
    if result.violations and not verbose:
        print("\n".join(result.before))
    for kind, text in result.violations:
        print(f"seed {seed}: {kind}: {text}")
    print(table([result], 0.0))
    return 1 if result.violations else 0


def _lived(seed: int, *, faults: bool) -> Result:
    gc.disable()  # a life makes no rubbish worth a pause; it is swept away between two of them
    try:
        return live_once(seed, faults=faults)
    except Exception as error:
        return Result(seed, violations=[("broken", f"{type(error).__name__}: {error}")])
    finally:
        gc.enable()


def lived(seeds: Iterable[int], jobs: int, *, faults: bool = True) -> Iterator[Result]:
    """The results in the order of the seeds."""
    live = partial(_lived, faults=faults)
    if jobs == 1:
        yield from map(live, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(live, seeds, chunksize=4)


def _progress(done: int, whole: int, bad: int) -> None:
    if sys.stderr.isatty() or done % 100 == 0:
        print(f"\r{done} of {whole} lives, {bad} with a violation", end="", file=sys.stderr, flush=True)


def trace_hash(results: Iterable[Result]) -> str:
    """SHA-256 over the digests of all traces, in the order of the seeds."""
    digest = hashlib.sha256()
    for result in sorted(results, key=lambda r: r.seed):
        digest.update(f"{result.seed} {result.digest}\n".encode())
    return digest.hexdigest()


def _at(values: list[float], share: float) -> str:
    if not values:
        return "-"
    return f"{sorted(values)[min(len(values) - 1, int(len(values) * share))]:.2f} s"


def table(results: list[Result], took_s: float) -> str:
    """What was lived and what came of it, the hash last."""
    kinds = Counter(kind for r in results for kind in {kind for kind, _ in r.violations})
    faults: Counter[str] = sum((r.faults for r in results), Counter())
    fees: Counter[str] = sum((r.fees for r in results), Counter())
    protected = [s for r in results for s in r.protected_s]
    recovered = [s for r in results for s in r.recovered_s]
    bad = ", ".join(f"{r.seed}" for r in results if r.violations)
    lines = [
        f"lives            {len(results)}, {sum(r.kills > 0 for r in results)} with kills, {took_s:.0f} s",
        f"simulated        {sum(r.seconds for r in results) / 3600:.0f} h",
        f"intents          {sum(r.intents for r in results)}",
        f"orders           {sum(r.orders for r in results)}",
        f"trades           {sum(fees.values())}, fees paid in "
        + ", ".join(f"{k} {n}" for k, n in sorted(fees.items())),
        f"kills            {sum(r.kills for r in results)}",
        f"faults           {sum(faults.values())}: " + ", ".join(f"{k} {n}" for k, n in sorted(faults.items())),
        f"fill to stop     p50 {_at(protected, 0.5)}, p99 {_at(protected, 0.99)} of {len(protected)}",
        f"kill to awake    p50 {_at(recovered, 0.5)}, p95 {_at(recovered, 0.95)} of {len(recovered)}",
        "violations       " + (", ".join(f"{k} in {n}" for k, n in sorted(kinds.items())) or "none"),
    ]
    lines += [f"seeds            {bad}"] if bad else []
    return "\n".join([*lines, f"traces           {trace_hash(results)}"])


if __name__ == "__main__":
    sys.exit(main())
