"""The planted bugs still fit the program, and a few of them are really caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.planted.__main__ import Unplanted, Verdict, judged, main, table
from tests.campaign.planted.bugs import ROOT, Bug, Unplantable, planted
from tests.campaign.planted.lives import check_home

BUGS = {bug.name: bug for bug in planted()}


@pytest.mark.parametrize("name", BUGS)
def test_the_bug_can_still_be_planted(name: str):
    """The lines it replaces occur exactly once, and what it leaves is a program that can be read."""
    bug = BUGS[name]
    text = (ROOT / bug.path).read_text(encoding="utf-8")
    assert text.count(bug.old) == 1, f"keep {name} up with {bug.path}"
    assert bug.old != bug.new
    compile(text.replace(bug.old, bug.new), bug.path, "exec")


def test_there_are_at_least_45():
    """As many as the campaign is measured by."""
    assert len(BUGS) >= 45


def test_a_bug_whose_lines_are_gone_fails_loudly(tmp_path: Path):
    """A bug that can no longer be planted must not count as caught or missed."""
    (tmp_path / "file.py").write_text("a = 1\n")
    bug = Bug("gone", "Nothing.", "file.py", "b = 1\n", "b = 2\n")
    with pytest.raises(Unplantable, match="gone: the lines to replace occur 0 times"):
        bug.plant(tmp_path)


@pytest.mark.parametrize("name", ["intent-shared-by-the-hour", "stop-for-half"])
def test_the_campaign_catches_it(name: str):
    """Two of the bugs are planted in every test run: the campaign sees them within a few lives."""
    verdict = judged(BUGS[name], ROOT, 6, Unplanted({}))
    assert verdict.kind in ("doubled", "unprotected", "oversold", "limits"), verdict


def test_what_the_program_shows_without_the_bug_proves_nothing():
    """What the unpatched program shows now and then counts only where it is shown far more often."""
    without = Unplanted({seed: {"stuck": "so"} if seed % 10 == 0 else {} for seed in range(1, 101)})
    assert without.by_chance("stuck", seen=1, lives=3) > 0.2
    assert without.by_chance("stuck", seen=3, lives=3) < 0.0011
    assert without.by_chance("doubled", seen=1, lives=1) == 0


def test_a_module_of_another_tree_is_noticed(tmp_path: Path):
    """A copy that imports the checkout would judge the wrong program."""
    with pytest.raises(RuntimeError, match="not from"):
        check_home(tmp_path)


def test_the_table_counts_what_was_caught():
    """The last line says how many of how many."""
    bug = BUGS["stop-for-half"]
    said = table([Verdict(bug, 3, "unprotected", "bare"), Verdict(bug, 150)])
    assert said.endswith("caught 1 of 2, 50%")
    assert "NOT CAUGHT" in said


def test_an_unknown_name_is_told():
    """A misspelt bug is not silently left out."""
    with pytest.raises(SystemExit):
        main(["no-such-bug"])
