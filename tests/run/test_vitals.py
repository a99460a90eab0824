"""The pulse of every part: well, failing, silent; and whether the watchdog may be fed."""

from __future__ import annotations

import pytest

from core.run.vitals import Vitals


class Hand:
    """Seconds that stand still until moved."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def now():
    return Hand()


@pytest.fixture
def vitals(now):
    vitals = Vitals(now)
    vitals.expect("bars", 90)
    return vitals


def test_a_part_that_does_its_work_is_well(vitals, now):
    """Who did well within its patience is fine."""
    now.s += 80
    vitals.well("bars")
    now.s += 89
    (check,) = vitals.checks()
    assert (check.name, check.well, check.text) == ("bars", True, "last well 89 s ago")
    assert vitals.alive()


def test_a_part_that_is_silent_too_long_is_not(vitals, now):
    """Silence beyond the patience stops the watchdog from being fed."""
    now.s += 91
    assert not vitals.checks()[0].well
    assert not vitals.alive()


def test_a_failure_is_shown_until_it_works_again(vitals, now):
    """The owner reads what went wrong, and how often, after it is over too."""
    vitals.failed("bars", "no network")
    assert (vitals.checks()[0].well, vitals.checks()[0].text) == (False, "no network")
    vitals.well("bars")
    assert (vitals.checks()[0].well, vitals.checks()[0].text) == (True, "last well 0 s ago, 1 failed")


def test_missed_runs_are_counted(vitals):
    """A run that did not happen is not forgotten."""
    vitals.missed("bars")
    vitals.missed("bars")
    assert vitals.checks()[0].text.endswith("2 missed")


def test_a_part_that_fails_loudly_is_not_standing_still(vitals, now):
    """Hours without a network are unwell, but no reason to be restarted: a restart brings no network."""
    for _ in range(100):
        now.s += 60
        vitals.failed("bars", "no network")
    assert vitals.alive()
    assert not vitals.checks()[0].well


def test_a_part_that_only_misses_its_runs_stands_still(vitals, now):
    """A job that hangs and is missed again and again is no sign of life."""
    for _ in range(10):
        now.s += 60
        vitals.missed("bars")
    assert not vitals.alive()


def test_a_part_that_is_through_for_good_may_be_silent_for_ever(vitals, now):
    """A start happens once: an hour later it is still well."""
    vitals.expect("start", 300)
    vitals.done("start")
    now.s += 3600
    vitals.well("bars")
    assert vitals.alive()
    assert all(check.well for check in vitals.checks())
