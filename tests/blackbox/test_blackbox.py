"""Two rounds of the black box in every test run, and the control that must not come through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blackbox import rounds
from tests.blackbox.traders import CONTROL


@pytest.mark.parametrize("seed", [3, 8])
def test_the_program_killed_and_failed_loses_and_doubles_nothing(tmp_path: Path, seed: int):
    """Processes, faults in 15 % of the requests, kills at the worst moments: books and exchange agree in all."""
    outcome = rounds.play(tmp_path, seed, action_s=10.0)
    assert outcome.findings == [], "\n".join(outcome.evidence)
    assert outcome.kills >= 1
    assert outcome.intents >= 1
    assert outcome.faults.total() > 0


def test_a_bot_that_sends_before_it_writes_and_sends_again_comes_to_harm(tmp_path: Path):
    """The same rounds with the usual mistakes: the rounds bite, else coming through them would prove nothing."""
    harmed: set[str] = set()
    for seed in (4, 3, 8):
        harmed |= rounds.kinds(rounds.play(tmp_path / str(seed), seed, CONTROL, action_s=10.0))
        if harmed & {"doubled", "lost", "oversold", "unprotected"}:
            return
    pytest.fail(f"the control came through: {harmed}")


def test_without_faults_and_kills_even_the_control_does_well(tmp_path: Path):
    """What harms it is what the rounds do, not the market or the judge."""
    outcome = rounds.play(tmp_path, 3, CONTROL, action_s=6.0, share=0.0, kills=False)
    assert outcome.findings == []
    assert outcome.intents >= 1
