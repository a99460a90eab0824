"""The registry: models whole or not at all, and what is broken never replaces what works."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.adapters.models import BEFORE_MAX, Registry
from core.domain.errors import BadData, NeedsOwner
from core.domain.model import EARLY
from core.learn.model_files import ModelFiles, ours
from tests.learn import tiny_models
from tests.learn.tiny_models import MADE_AT

CARD = {"log_loss": 0.61}


class Shelf:
    """A registry at a moment that can be moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = MADE_AT
        self.registry = Registry(folder, ours(), lambda: self.at)

    def add(self, seed: int = 0, **manifest: object) -> str:
        return self.registry.add(tiny_models.text(seed), tiny_models.manifest(**manifest), CARD)

    def in_place(self, which: str = "champion") -> str:
        model, why = getattr(self.registry, which)()
        assert model, why
        return str(model.id)

    def ids(self) -> list[str]:
        return [one.id for one in self.registry.list()]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty registry."""
    return Shelf(tmp_path / "paper" / "models")


def test_what_was_added_is_read_back_the_same(shelf: Shelf):
    """Text, manifest and card survive the way to the disk, and the id names them."""
    made = shelf.add()
    model = shelf.registry.load(made)
    assert (model.id, model.text, model.card) == (made, tiny_models.text(), CARD)
    assert model.manifest == tiny_models.manifest()


def test_the_same_content_is_kept_once(shelf: Shelf):
    """Training twice with the same data and seed fills no disk, and touches nothing."""
    made = shelf.add()
    before = (shelf.folder / made).stat()
    assert shelf.add() == made
    assert shelf.ids() == [made]
    assert (shelf.folder / made).stat().st_ino == before.st_ino


def test_another_manifest_is_another_model(shelf: Shelf):
    """Two models that differ in their curve alone do not share an id."""
    assert shelf.add() != shelf.add(seed=0, rows=601)


def test_only_this_user_can_read_a_model(shelf: Shelf):
    """Files 0600 and folders 0700, like the rest of the state folder."""
    made = shelf.folder / shelf.add()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.iterdir()} == {0o600}


def test_a_writer_that_is_killed_leaves_no_model(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    """Before the rename there is nothing; the next writer clears up what was left."""
    shelf.add(seed=1)

    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as cut:
        cut.setattr(Path, "rename", dies)
        with pytest.raises(Killed):
            shelf.add(seed=2)
    assert len(shelf.ids()) == 1
    assert [name for name in os.listdir(shelf.folder) if name.startswith(".adding")]
    shelf.add(seed=2)
    assert sorted(os.listdir(shelf.folder)) == sorted(shelf.ids())
    assert len(shelf.ids()) == 2


def test_a_broken_copy_is_replaced_when_its_model_comes_again(shelf: Shelf):
    """A model that rotted on the disk is whole again once it was added again."""
    made = shelf.add()
    (shelf.folder / made / "model.txt").write_text("tree\n")
    assert shelf.add() == made
    assert shelf.registry.load(made).text == tiny_models.text()


def test_without_a_champion_there_is_a_sentence(shelf: Shelf):
    """An empty registry says how models are made, and reading makes no folder."""
    assert shelf.registry.champion() == (None, "There is no champion yet.")
    assert shelf.registry.list() == []
    assert not shelf.folder.exists()


def test_promote_and_roll_back_walk_through_the_champions(shelf: Shelf):
    """Back to the one before, and to the one before that, and then no further."""
    first, second, third = (shelf.add(seed) for seed in (1, 2, 3))
    for made in (first, second, third):
        shelf.registry.promote(made)
    assert [shelf.registry.rollback(), shelf.registry.rollback()] == [(second, ()), (first, ())]
    assert shelf.in_place() == first
    with pytest.raises(NeedsOwner, match="no champion before"):
        shelf.registry.rollback()


def test_the_way_back_is_known_before_it_is_taken(shelf: Shelf):
    """Who would be gone back to, and why newer ones would not; looking changes nothing."""
    first, second, third = (shelf.add(seed) for seed in (1, 2, 3))
    assert shelf.registry.way_back() == (None, ())
    for made in (first, second, third):
        shelf.registry.promote(made)
    model, passed = shelf.registry.way_back(lambda one: "no" if one.id == second else "")
    assert model
    assert (model.id, passed) == (first, ("no",))
    assert shelf.in_place() == third
    assert shelf.registry.rollback() == (second, ())


def test_a_champion_that_is_dismissed_leaves_its_place_empty(shelf: Shelf):
    """Nobody forecasts, and rolling back later never lands on whoever was sent away."""
    first, bad, third = (shelf.add(seed=seed) for seed in (1, 2, 3))
    shelf.registry.promote(first)
    shelf.registry.promote(bad)
    shelf.registry.dismiss()
    assert shelf.registry.champion()[0] is None
    shelf.registry.promote(third)
    assert shelf.registry.rollback() == (first, ())


def test_whoever_was_rolled_back_from_is_never_gone_back_to(shelf: Shelf):
    """Also where it had held the place twice: each stands once among those before."""
    first, second = shelf.add(1), shelf.add(2)
    for made in (first, second, first):
        shelf.registry.promote(made)
    assert shelf.registry.rollback() == (second, ())
    with pytest.raises(NeedsOwner, match="no champion before"):
        shelf.registry.rollback()
    assert shelf.in_place() == second


def test_going_back_passes_over_what_cannot_forecast_and_says_so(shelf: Shelf):
    """Tampered with, too old, of other features, or refused by who asks: the one before those gets the place."""
    ages = {"expires_at": MADE_AT + timedelta(days=1)}
    first, unfit, broken, old, last = shelf.add(1), shelf.add(2), shelf.add(3), shelf.add(4, **ages), shelf.add(5)
    older = ModelFiles(ours().names, "0" * 64)
    foreign = Registry(shelf.folder, older, lambda: MADE_AT)
    for made in (first, unfit, broken, old):
        shelf.registry.promote(made)
    other = foreign.add(tiny_models.text(), tiny_models.manifest(older), CARD)
    foreign.promote(other)
    shelf.registry.promote(last)
    BROKEN["truncated"][0](shelf.folder / broken)
    shelf.at += timedelta(days=2)
    back, passed = shelf.registry.rollback(lambda model: f"{model.id} is not wanted." if model.id == unfit else "")
    assert back == first
    assert [said.split(":")[0] for said in passed] == [
        f"The model {other} is refused",
        f"The model {old} forecast until 2026-11-02 and is too old now.",
        f"The model {broken} is refused",
        f"{unfit} is not wanted.",
    ]
    with pytest.raises(NeedsOwner, match=r"^There is no champion before"):
        shelf.registry.rollback()


def test_going_back_to_the_challenger_leaves_no_challenger(shelf: Shelf):
    """It cannot be tried against itself, nor keep a newer one from being tried."""
    first, second = shelf.add(1), shelf.add(2)
    for made in (first, second):
        shelf.registry.promote(made)
    shelf.registry.set_challenger(first)
    shelf.registry.rollback()
    assert shelf.registry.challenger() == (None, "There is no challenger.")


def test_as_many_champions_before_as_are_remembered_can_be_gone_back_to(shelf: Shelf):
    """What is old is removed, but nobody who may be needed: the way back is as long as the pointer says."""
    made = [shelf.add(rows=600 + k) for k in range(BEFORE_MAX + 3)]
    for one in made:
        os.utime(shelf.folder / one, (0, 0))
        shelf.registry.promote(one)
    shelf.registry.retire(timedelta(days=1), keep=0)
    assert [shelf.registry.rollback()[0] for _ in range(BEFORE_MAX)] == made[-2 : -2 - BEFORE_MAX : -1]
    with pytest.raises(NeedsOwner, match=r"^There is no champion before"):
        shelf.registry.rollback()


def test_promoting_the_champion_again_changes_nothing(shelf: Shelf):
    """A second press of the button makes no history."""
    first, second = shelf.add(1), shelf.add(2)
    for made in (first, second, second):
        shelf.registry.promote(made)
    assert shelf.registry.rollback() == (first, ())


def test_a_promoted_challenger_is_challenger_no_longer(shelf: Shelf):
    """It cannot be tried against itself."""
    made = shelf.add()
    shelf.registry.set_challenger(made)
    assert shelf.in_place("challenger") == made
    shelf.registry.promote(made)
    assert shelf.registry.challenger() == (None, "There is no challenger.")


def test_a_challenger_can_be_let_go(shelf: Shelf):
    """None takes the place back."""
    shelf.registry.set_challenger(shelf.add())
    shelf.registry.set_challenger(None)
    assert shelf.registry.challenger() == (None, "There is no challenger.")


def test_a_champion_that_is_too_old_forecasts_no_longer(shelf: Shelf):
    """After its time there is no champion, and the sentence says since when."""
    made = shelf.add(expires_at=MADE_AT + timedelta(days=3))
    shelf.registry.promote(made)
    shelf.at = MADE_AT + timedelta(days=3)
    model, why = shelf.registry.champion()
    assert model is None
    assert why == f"The model {made} forecast until 2026-11-04 and is too old now."


def test_a_champion_goes_as_long_before_its_end_as_the_next_look_may_take(shelf: Shelf):
    """Whoever asks once a minute acts on no forecast of a model that is too old."""
    made = shelf.add(expires_at=MADE_AT + timedelta(days=3))
    shelf.registry.promote(made)
    shelf.at = MADE_AT + timedelta(days=3) - EARLY - timedelta(seconds=1)
    assert shelf.in_place() == made
    shelf.at += timedelta(seconds=1)
    assert shelf.registry.champion()[0] is None


def test_a_model_without_an_end_ends_after_45_days(shelf: Shelf):
    """Nothing forecasts for ever only because nobody trained."""
    shelf.registry.promote(shelf.add())
    shelf.at = MADE_AT + timedelta(days=44)
    assert shelf.registry.champion()[0]
    shelf.at = MADE_AT + timedelta(days=45)
    assert not shelf.registry.champion()[0]


@pytest.mark.parametrize("place", ["promote", "set_challenger"])
def test_a_model_that_is_too_old_takes_no_place(shelf: Shelf, place: str):
    """Neither champion nor challenger."""
    made = shelf.add(expires_at=MADE_AT - timedelta(days=1))
    with pytest.raises(NeedsOwner, match="too old"):
        getattr(shelf.registry, place)(made)


def test_going_back_to_a_model_that_is_too_old_is_refused(shelf: Shelf):
    """The champion stays rather than give way to nobody."""
    old, new = shelf.add(1, expires_at=MADE_AT + timedelta(days=1)), shelf.add(2)
    shelf.registry.promote(old)
    shelf.registry.promote(new)
    shelf.at += timedelta(days=2)
    with pytest.raises(NeedsOwner, match=f"{old} .* too old now. There is no champion before this one"):
        shelf.registry.rollback()
    assert shelf.in_place() == new


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return edited


def _manifest(**fields: object) -> Callable[[Path], None]:
    return _edit("model.json", lambda data: json.dumps(json.loads(data) | fields).encode())


def _linked(folder: Path) -> None:
    real = folder.parent / "elsewhere.txt"
    (folder / "model.txt").rename(real)
    (folder / "model.txt").symlink_to(real)


def _folder_linked(folder: Path) -> None:
    real = folder.parent / "elsewhere"
    folder.rename(real)
    folder.symlink_to(real)


def _huge(folder: Path) -> None:
    os.truncate(folder / "model.txt", (64 << 20) + 1)


def _piped(folder: Path) -> None:
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json", 0o600)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_edit("model.txt", lambda data: data[: len(data) // 2]), "not the ones its manifest was written"),
    "one digit of a tree": (_edit("model.txt", lambda data: data.replace(b"1", b"2", 1)), "not the ones its manifest"),
    "another card": (_edit("card.json", lambda data: data.replace(b"0.61", b"0.21")), "not the ones its manifest"),
    "another curve": (_manifest(calibrator={"kind": "identity", "values": [], "knots": []}), "not what its id says"),
    "another id": (_manifest(id="0" * 12), "not what its id says"),
    "a field nobody wrote": (_manifest(note="hello"), "not what its id says"),
    "another format": (_manifest(format=2), "format is not the one this version reads"),
    "no JSON": (_edit("model.json", lambda data: data[:-20]), "no JSON object"),
    "nested without end": (_edit("model.json", lambda _: b"[" * 200_000), "no JSON object"),
    "not a number": (_edit("model.json", lambda data: data.replace(b"0.05", b"NaN", 1)), "no JSON object"),
    "beyond numbers": (_edit("model.json", lambda data: data.replace(b"0.05", b"1e999", 1)), "no JSON object"),
    "a pickle beside": (lambda folder: (folder / "model.pkl").write_bytes(pickle.dumps(1)) and None, "'model.pkl'"),
    "a pickle within": (_edit("model.txt", lambda _: pickle.dumps({"a": 1})), "not the ones its manifest"),
    "a missing card": (lambda folder: (folder / "card.json").unlink(), "card.json is missing"),
    "a link to the text": (_linked, "model.txt is a link"),
    "a link to the folder": (_folder_linked, "is a link or no folder"),
    "huge": (_huge, "over the 64 MiB a model may have"),
    "a pipe": (_piped, "card.json is no plain file"),
    "open to others": (lambda folder: (folder / "model.txt").chmod(0o666), "may have been written by others"),
    "gone": (shutil.rmtree, "there is no such model"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_candidate_is_refused_and_the_champion_stays(shelf: Shelf, fault: str):
    """One sentence, no promotion, and the champion forecasts on."""
    champion, candidate = shelf.add(1), shelf.add(2)
    shelf.registry.promote(champion)
    breaks, sentence = BROKEN[fault]
    breaks(shelf.folder / candidate)
    for places in (shelf.registry.promote, shelf.registry.set_challenger):
        with pytest.raises(BadData) as refused:
            places(candidate)
        assert sentence in refused.value.user_text
        assert refused.value.user_text.startswith(f"The model {candidate} is refused: ")
    assert shelf.in_place() == champion


@pytest.mark.parametrize("fault", ["truncated", "another curve", "a pickle beside"])
def test_a_broken_champion_is_no_champion(shelf: Shelf, fault: str):
    """What rotted under the pointer forecasts no more; the sentence says why, and the list shows it."""
    champion = shelf.add()
    shelf.registry.promote(champion)
    breaks, sentence = BROKEN[fault]
    breaks(shelf.folder / champion)
    model, why = shelf.registry.champion()
    assert (model, sentence in why) == (None, True)
    (listed,) = shelf.registry.list()
    assert (listed.model, listed.fault, listed.champion) == (None, why, True)


def test_a_model_of_other_features_is_refused(shelf: Shelf):
    """Rows of today's features mean nothing to it."""
    older = ModelFiles(ours().names, "0" * 64)
    other = Registry(shelf.folder, older, lambda: MADE_AT)
    made = other.add(tiny_models.text(), tiny_models.manifest(older), CARD)
    with pytest.raises(BadData, match="another set of features"):
        shelf.registry.promote(made)


@pytest.mark.parametrize("made", ["../../etc", "", "0" * 11, "ABCDEF012345", "0123456789ab/..", "champion.json"])
def test_a_name_that_is_no_id_reads_no_folder(shelf: Shelf, made: str):
    """Whatever is typed or stands in a pointer, nothing outside the registry is opened."""
    with pytest.raises(BadData, match="12 hex digits"):
        shelf.registry.load(made)


def test_a_pointer_that_names_a_place_outside_is_no_champion(shelf: Shelf):
    """Somebody who edits the pointer file gains no file of his choice."""
    shelf.registry.promote(shelf.add())
    path = shelf.folder / "champion.json"
    path.write_text(path.read_text().replace(shelf.ids()[0], "../../outside"))
    assert shelf.registry.champion() == (None, "A model's id has 12 hex digits: `./run models list` shows them.")


def test_a_pointer_that_cannot_be_read_is_said_to_be_one(shelf: Shelf):
    """It is not taken for a registry that never had a champion."""
    shelf.registry.promote(shelf.add())
    (shelf.folder / "champion.json").write_text("{")
    model, why = shelf.registry.champion()
    assert (model, why) == (None, "champion.json cannot be read: `./run models promote ID` writes it anew.")


def test_what_would_be_refused_later_is_not_kept(shelf: Shelf):
    """A trainer with a fault finds out at once, and leaves nothing."""
    with pytest.raises(BadData, match="LightGBM"):
        shelf.registry.add("not a model", tiny_models.manifest(), CARD)
    with pytest.raises(BadData, match="not finite"):
        shelf.registry.add(tiny_models.text(), tiny_models.manifest(), {"auc": float("nan")})
    with pytest.raises(BadData, match="calibrator"):
        shelf.add(calibrator={"kind": "magic"})
    with pytest.raises(BadData, match="bound"):
        shelf.add(bound={})
    assert not shelf.folder.exists()


def test_old_models_go_and_whoever_may_be_needed_stays(shelf: Shelf):
    """Champion, challenger, the champions before and the newest few survive; the rest frees the disk."""
    made = [shelf.add(rows=600 + k) for k in range(9)]
    long_ago = (MADE_AT - timedelta(days=30)).timestamp()
    for k, one in enumerate(made):
        os.utime(shelf.folder / one, (long_ago + k, long_ago + k))
    for one in made[:2]:
        shelf.registry.promote(one)
    shelf.registry.set_challenger(made[2])
    assert shelf.registry.retire(timedelta(days=31), keep=2) == []
    assert shelf.registry.retire(timedelta(days=20), keep=2) == made[3:7]
    assert set(shelf.ids()) == {*made[:3], *made[7:]}
    assert shelf.registry.rollback() == (made[0], ())


def test_every_change_of_a_place_is_seen_from_outside(shelf: Shelf):
    """The running assistant notices a promotion typed in a terminal by looking at two files."""
    seen = [shelf.registry.stamp()]
    watcher = Registry(shelf.folder, ours())
    made = [shelf.add(1), shelf.add(2)]
    assert watcher.stamp() == seen[0]
    for change in (
        lambda: shelf.registry.promote(made[0]),
        lambda: shelf.registry.set_challenger(made[1]),
        lambda: shelf.registry.promote(made[1]),
        shelf.registry.rollback,
    ):
        change()
        seen.append(watcher.stamp())
    assert len(set(seen)) == len(seen)


def test_the_newest_model_is_listed_first(shelf: Shelf):
    """By when it was made."""
    made = [shelf.add(created_at=MADE_AT - timedelta(days=age)) for age in (3, 1, 2)]
    assert shelf.ids() == [made[1], made[2], made[0]]


def test_moments_without_a_zone_are_refused():
    """A model cannot expire at an hour nobody can name."""
    with pytest.raises(BadData, match="without its zone"):
        tiny_models.manifest(created_at=datetime(2026, 11, 1))  # noqa: DTZ001


def test_a_folder_that_cannot_be_looked_into_is_a_folder_without_models(shelf: Shelf):
    """Who trades by the registry starts without it: no champion, with a sentence."""
    shelf.folder.parent.mkdir()
    shelf.folder.write_text("not a folder")
    assert shelf.registry.stamp() == (0, 0, 0, 0)
    assert shelf.ids() == []
    model, why = shelf.registry.champion()
    assert model is None
    assert why


def test_a_model_whose_disk_fails_is_refused_with_a_sentence(shelf: Shelf, monkeypatch):
    """An unreadable sector under the champion is a reason not to use it, no crash of who asks."""
    made, fdopen = shelf.add(), os.fdopen

    class Worn:
        """A file whose bytes cannot be had."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, most):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("core.learn.model_files.os.fdopen", lambda *how: Worn(fdopen(*how)))
    with pytest.raises(BadData, match=f"^The model {made} is refused: model.txt cannot be read"):
        shelf.registry.load(made)
