"""Why there is no order: the first limit or threshold that stopped it, with its numbers.

Rule 1: pure; a refusal's own sentence stays, what is added are the numbers behind it and what can be done.
Rule 2: the code stands in brackets after it, for whoever looks it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from bot.views import words
from core.domain.orders import Refusal, SizeStep

_SILENCE = re.compile(r"([A-Z][A-Z_]+): (.*)", re.DOTALL)
_BARS = re.compile(r"(\d+) of (\d+) bars")


def why_not(refusal: Refusal, steps: Sequence[SizeStep], span: timedelta) -> tuple[str, str]:
    """The sentence and the code of a refusal; ``steps`` of the size as far as they were taken."""
    code, said = refusal.code, refusal.sentence
    if code == "NO_FORECAST" and (silence := _SILENCE.fullmatch(said)):
        code, said = silence[1], silence[2]
    put = _SAID.get(code)
    return f"{put(said, refusal, span) if put else said}{_trusted(steps)}", code


def _trusted(steps: Sequence[SizeStep]) -> str:
    """That the size was cut for a model that is trusted less, before anything else stopped it."""
    cut = next((step for step in steps if step.name == "trust"), None)
    return f" The model is trusted less, so the size was cut before: {cut.text.rstrip('.')}." if cut else ""


def _short_of(said: str, refusal: Refusal, span: timedelta) -> str:
    numbers = dict(refusal.numbers)
    try:
        short = 100 * (float(numbers["break_even"]) - float(numbers["p_low"]))
    except (KeyError, ValueError):
        return said
    return f"{said.rstrip('.')}: {short:.1f} points short."


def _no_model(said: str, refusal: Refusal, span: timedelta) -> str:
    return f"{said} /model says what is missing, /retrain trains one."


def _no_answer(said: str, refusal: Refusal, span: timedelta) -> str:
    return f"The model gave no answer, and nothing stands in for it: {_small(said.removeprefix('No forecast: '))}"


def _warming_up(said: str, refusal: Refusal, span: timedelta) -> str:
    known = _BARS.search(said)
    if known is None:
        return said
    left = int(known[2]) - int(known[1])
    return f"Warming up: {known[0]} are known, {words.ago(left * span.total_seconds())} to go."


def _small(said: str) -> str:
    return said[:1].lower() + said[1:]


_SAID: Mapping[str, Callable[[str, Refusal, timedelta], str]] = {
    "NO_EDGE": _short_of,
    "NO_MODEL": _no_model,
    "NO_ANSWER": _no_answer,
    "WARMING_UP": _warming_up,
}
