"""models: what is there, what it is worth, and who forecasts."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.commands import models as command
from core.adapters import statelock
from core.adapters.models import FOLDER, Registry
from core.domain.errors import BadData, NeedsOwner
from core.domain.model import Manifest
from core.learn.judge import card
from core.learn.model_files import ours
from core.settings import Settings
from tests.bot.lived import firstmate, one_line
from tests.learn import tiny_models
from tests.learn.judge.judgements import GOOD, MAKING
from tests.test_imports import RESEARCH, loaded

NOW = datetime.now(UTC)
UNCALIBRATED = replace(GOOD, calibration=replace(GOOD.calibration, error=0.05))


def manifest(days: int = 0) -> Manifest:
    """A model made so many days ago."""
    return tiny_models.manifest(created_at=NOW - timedelta(days=days))


class Home:
    """A state folder whose paper mode has models."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "paper" / FOLDER
        self.registry = Registry(self.folder, ours())

    def add(self, seed: int = 0, judgement=GOOD) -> str:
        said = card.to_json(card.made(MAKING, judgement))
        return self.registry.add(tiny_models.text(seed), manifest(seed), said)

    def ask(
        self,
        action: str,
        model: str | None = None,
        mode: str = "paper",
        *,
        as_json: bool = False,
        page: str | None = None,
        origin: str | None = None,
        timeframe: str = "1h",
    ) -> int:
        args = Namespace(action=action, id=model, json=as_json, page=page, origin=origin)
        return command.main(args, Settings(home=self.home, mode=mode, timeframe=timeframe))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_the_list_shows_what_each_model_is_worth(home: Home, capsys: pytest.CaptureFixture[str]):
    """Newest first; calibration error, gain over the best baseline, whether the gate let it through, and its place."""
    newest, second, failed = home.add(0), home.add(1), home.add(2, UNCALIBRATED)
    home.registry.promote(second)
    home.registry.set_challenger(newest)
    assert home.ask("list") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["id", "made", "(UTC)", "family", "rows", "ECE", "gain", "gate"]
    made = [f"{NOW - timedelta(days=k):%Y-%m-%d %H:%M}".split() for k in range(3)]
    assert lines[1:] == [
        [newest, *made[0], "boosting", "600", "1.2%", "+0.00200", "passed", "challenger"],
        [second, *made[1], "boosting", "600", "1.2%", "+0.00200", "passed", "champion"],
        [failed, *made[2], "boosting", "600", "5.0%", "+0.00200", "failed"],
    ]


def test_the_list_as_json_holds_the_same(home: Home, capsys: pytest.CaptureFixture[str]):
    """For programs: exact numbers, and null where nothing is wrong."""
    made = home.add()
    home.registry.promote(made)
    home.ask("list", as_json=True)
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["id"], told["champion"], told["challenger"], told["fault"]) == (made, True, False, None)
    assert (told["calibration_error"], told["log_loss_gain"], told["promotable"]) == (0.012, 0.002, True)


def test_a_broken_model_is_listed_with_its_sentence(home: Home, capsys: pytest.CaptureFixture[str]):
    """It stands below the sound ones, in words, and as JSON as a fault."""
    sound, broken = home.add(0), home.add(1)
    (home.folder / broken / "card.json").unlink()
    home.ask("list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(sound)
    assert lines[2] == f"The model {broken} is refused: card.json is missing."
    home.ask("list", as_json=True)
    assert json.loads(capsys.readouterr().out)[1]["fault"] == lines[2]


def test_a_card_of_another_version_keeps_a_model_in_the_list(home: Home, capsys: pytest.CaptureFixture[str]):
    """What can no longer be told is not told; the model is whole."""
    made = home.registry.add(tiny_models.text(), manifest(), {"format": 99})
    home.ask("list")
    assert capsys.readouterr().out.splitlines()[1].split()[5:] == ["-", "-", "no", "card"]
    home.ask("list", as_json=True)
    assert "promotable" not in json.loads(capsys.readouterr().out)[0]
    for action in ("show", "promote"):
        with pytest.raises(BadData) as refused:
            home.ask(action, made)
        assert refused.value.user_text == f"The card of the model {made} cannot be read by this version: train anew."


def test_show_without_an_id_shows_the_champion(home: Home, capsys: pytest.CaptureFixture[str]):
    """Its page, with its name in the head and how long it may forecast."""
    made, _ = home.add(0), home.add(1)
    home.registry.promote(made)
    home.ask("show")
    page = capsys.readouterr().out
    assert page.startswith(f"MODEL {made}\nMAY TRADE\n")
    assert page.endswith(f"It forecasts until {NOW + timedelta(days=45):%Y-%m-%d}.\n")


def test_show_as_json_is_manifest_and_card(home: Home, capsys: pytest.CaptureFixture[str]):
    """Everything that is known of it, as it lies in its files."""
    made = home.add()
    home.ask("show", made, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["id"] == made
    assert told["manifest"]["seed"] == 1
    assert card.from_json(told["card"]) == card.made(MAKING, GOOD)


def test_show_writes_the_page_of_a_model(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Into the file that was named, without an ID the champion's; to standard output the very same page."""
    made, _ = home.add(0), home.add(1)
    home.registry.promote(made)
    file = tmp_path / "card.html"
    home.ask("show", page=str(file))
    assert capsys.readouterr().out == f"The page of {made} is in {file}: open it in a browser.\n"
    assert f"<title>Model {made}: may trade</title>" in file.read_text()
    home.ask("show", made, page="-")
    assert capsys.readouterr().out == file.read_text() + "\n"


def test_a_page_that_cannot_be_written_is_one_sentence(home: Home, tmp_path: Path):
    """By the real command: the file and the option are named, and nothing is left half-written."""
    made = home.add()
    done = firstmate("models", "show", made, "--page", str(tmp_path / "no" / "card.html"), home=home.home, mode="paper")
    assert done.returncode == 2
    said = "card.html cannot be written (No such file or directory): name another file by --page."
    assert said in one_line(done)
    assert not (tmp_path / "no").exists()


def test_a_model_that_passed_is_promoted(home: Home, capsys: pytest.CaptureFixture[str]):
    """From the terminal, after the process that serves it was asked."""
    made = home.add()
    home.ask("promote", made)
    assert capsys.readouterr().out == f"{made} is champion.\n"
    champion, _ = home.registry.champion()
    assert champion
    assert champion.id == made


def test_a_model_that_failed_its_gate_is_not_promoted(home: Home):
    """The first criterion it missed is named with its numbers, and the champion stays nobody."""
    made = home.add(0, UNCALIBRATED)
    with pytest.raises(NeedsOwner) as refused:
        home.ask("promote", made)
    assert refused.value.user_text.startswith(
        f"The model {made} did not pass its gate: calibrated: Forecast and outcome"
    )
    assert home.registry.champion()[0] is None


def test_a_model_whose_card_names_no_criterion_is_not_promoted(home: Home):
    """What was not measured has not been shown."""
    said = replace(card.made(MAKING, GOOD), criteria=())
    made = home.registry.add(tiny_models.text(), manifest(), card.to_json(said))
    with pytest.raises(NeedsOwner, match="did not pass its gate: its card names no criterion"):
        home.ask("promote", made)
    assert home.registry.champion()[0] is None


def test_a_model_that_cannot_be_served_is_not_promoted(home: Home):
    """Its files are whole and its card is good, but LightGBM dies of its text: the champion stays."""
    champion = home.add()
    home.ask("promote", champion)
    deadly = tiny_models.text(2).replace("leaf_value=", "leaf_value=0 ")
    made = home.registry.add(deadly, manifest(), card.to_json(card.made(MAKING, GOOD)))
    with pytest.raises(BadData, match="cannot be served"):
        home.ask("promote", made)
    model, _ = home.registry.champion()
    assert model
    assert model.id == champion


def test_a_model_of_other_bars_is_not_promoted(home: Home):
    """The assistant would not use it, and the champion that works would be out of its place."""
    champion, made = home.add(0), home.add(1)
    home.ask("promote", champion)
    with pytest.raises(NeedsOwner) as refused:
        home.ask("promote", made, timeframe="4h")
    assert refused.value.user_text == f"The model {made} was made for bars of 1h, not of 4h: train anew."
    model, _ = home.registry.champion()
    assert model
    assert model.id == champion


def test_a_model_that_passed_on_paper_is_taken_over_by_live(home: Home, capsys: pytest.CaptureFixture[str]):
    """The same files, proven the same; paper keeps its own."""
    made = home.add()
    home.ask("promote", made, mode="live", origin="paper")
    assert capsys.readouterr().out == f"{made} is champion.\n"
    live = Registry(home.home / "live" / FOLDER, ours())
    champion, why = live.champion()
    assert champion, why
    assert (champion.id, champion.card) == (made, home.registry.load(made).card)
    assert home.registry.champion()[0] is None


def test_where_another_mode_s_models_are_meant_that_is_said(home: Home, capsys: pytest.CaptureFixture[str]):
    """Whoever set live and left out --from has changed paper: nobody shall take that for live."""
    made = home.add()
    home.ask("promote", made, mode="live")
    assert capsys.readouterr().out == f"{made} is champion.\nThat holds for paper: live has no models.\n"
    assert not (home.home / "live").exists()


def test_what_failed_its_gate_on_paper_is_not_taken_over(home: Home):
    """And leaves nothing in live's folder."""
    made = home.add(0, UNCALIBRATED)
    with pytest.raises(NeedsOwner, match="did not pass its gate"):
        home.ask("promote", made, mode="live", origin="paper")
    assert not (home.home / "live").exists()


def test_what_has_ended_on_paper_is_not_taken_over(home: Home):
    """Nor does it leave a copy in live's folder."""
    made = home.add(60)
    with pytest.raises(NeedsOwner, match="is too old now: train anew"):
        home.ask("promote", made, mode="live", origin="paper")
    assert not (home.home / "live").exists()


@pytest.mark.parametrize(
    ("action", "mode", "said"),
    [
        ("promote", "paper", "Models of paper can be taken over by live only: say so by FIRSTMATE_MODE."),
        ("promote", "demo", "Models of paper can be taken over by live only: say so by FIRSTMATE_MODE."),
        ("rollback", "live", "--from belongs to `./run models promote`."),
    ],
)
def test_only_where_prices_are_real_a_model_is_taken_over(home: Home, action: str, mode: str, said: str):
    """What was learned on one market is worth nothing on a made-up one."""
    made = home.add()
    with pytest.raises(BadData) as refused:
        home.ask(action, made if action == "promote" else None, mode=mode, origin="paper")
    assert refused.value.user_text == said


def test_a_rollback_passes_over_what_cannot_be_served(home: Home, capsys: pytest.CaptureFixture[str]):
    """It reads well, and LightGBM dies of it: the one before gets the place."""
    first, last = home.add(0), home.add(1)
    deadly = tiny_models.text(2).replace("leaf_value=", "leaf_value=0 ")
    made = home.registry.add(deadly, manifest(), card.to_json(card.made(MAKING, GOOD)))
    for one in (first, made, last):
        home.registry.promote(one)
    home.ask("rollback")
    *_, passed, back = capsys.readouterr().out.splitlines()
    assert passed.startswith(f"The model {made} cannot be served: ")
    assert back == f"{first} is champion again."


def test_a_rollback_says_to_what(home: Home, capsys: pytest.CaptureFixture[str]):
    """One step back, or a sentence that there is none."""
    first, second = home.add(0), home.add(1)
    home.registry.promote(first)
    home.registry.promote(second)
    home.ask("rollback")
    assert capsys.readouterr().out == f"{first} is champion again.\n"
    with pytest.raises(NeedsOwner, match="no champion before"):
        home.ask("rollback")


def test_a_rollback_passes_over_what_may_not_forecast(home: Home, capsys: pytest.CaptureFixture[str]):
    """A model whose card cannot be read, or says no, keeps nobody better out; each is named with its reason."""
    first, failed, last = home.add(0), home.add(1, UNCALIBRATED), home.add(2)
    strange = home.registry.add(tiny_models.text(), manifest(), {"format": 99})
    for made in (first, failed, strange, last):
        home.registry.promote(made)
    home.ask("rollback")
    unread, ungated, back = capsys.readouterr().out.splitlines()
    assert unread.startswith(f"The model {strange} is refused: this is no model card: ")
    assert ungated == f"The model {failed} did not pass its gate, so it does not forecast."
    assert back == f"{first} is champion again."


def test_beside_a_running_assistant_it_says_who_takes_it_up(home: Home, capsys: pytest.CaptureFixture[str]):
    """Nothing has to be started again."""
    for made in (home.add(0), home.add(1)):
        home.registry.promote(made)
    with statelock.hold(home.home / "paper"):
        home.ask("rollback")
    assert capsys.readouterr().out.endswith(") takes it up within a minute.\n")


def test_the_mode_with_models_is_found(home: Home, capsys: pytest.CaptureFixture[str]):
    """With one it needs no name; with two of which neither is set, the owner says which."""
    made = home.add()
    home.ask("list", mode="live")
    assert made in capsys.readouterr().out
    Registry(home.home / "testnet" / FOLDER, ours()).set_challenger(None)
    home.ask("list", mode="testnet")
    assert capsys.readouterr().out == "There are no models yet: `./run train` makes them.\n"
    with pytest.raises(NeedsOwner, match="modes paper, testnet have models"):
        home.ask("list", mode="live")


def test_a_list_of_nothing_is_no_failure(home: Home, capsys: pytest.CaptureFixture[str]):
    """Before the first training: a sentence, and an empty list for programs."""
    assert home.ask("list") == 0
    assert home.ask("list", as_json=True) == 0
    assert capsys.readouterr().out == "There are no models yet: `./run train` makes them.\n[]\n"


@pytest.mark.parametrize("action", ["show", "promote"])
@pytest.mark.parametrize("made", ["nonsense", "0" * 12, "../../etc"])
def test_an_id_that_is_none_of_them_names_where_they_stand(home: Home, action: str, made: str):
    """Whatever was typed."""
    home.add()
    with pytest.raises(BadData) as refused:
        home.ask(action, made)
    assert refused.value.user_text == f"There is no model {made}: `./run models list` shows those there are."


@pytest.mark.parametrize("action", ["show", "rollback", "promote"])
def test_without_a_model_every_action_is_one_sentence(home: Home, action: str):
    """Before the first training, and with a registry that never had a champion."""
    with pytest.raises(NeedsOwner, match="There are no models yet"):
        home.ask(action, "0" * 12 if action == "promote" else None)
    home.registry.set_challenger(None)
    with pytest.raises((NeedsOwner, BadData)) as refused:
        home.ask(action, "0" * 12 if action == "promote" else None)
    assert "\n" not in refused.value.user_text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "0" * 12), "takes no ID"),
        (("rollback", "0" * 12), "takes no ID"),
        (("promote",), "takes the ID of a model"),
        (("promote", "0" * 12, "--json"), "--json belongs to"),
        (("list", "--page", "card.html"), "--page belongs to"),
        (("show", "--json", "--page", "card.html"), "--page belongs to"),
        (("show", "--page", ""), "names no file"),
    ],
)
def test_what_does_not_fit_together_is_refused(home: Home, words: tuple[str, ...], said: str):
    """By the real command, in one line, with the exit code of a wrong usage."""
    home.add()
    done = firstmate("models", *words, home=home.home, mode="paper")
    assert done.returncode == 2
    assert said in one_line(done)


def test_the_real_command_lists_without_a_research_library(home: Home):
    """What it imports is as light as `status`: whoever looks at models pays for none of them."""
    home.add()
    words = ["models", "list", "--state", str(home.home)]
    code = f"from bot.cli import main\nassert main({words!r}) == 0"
    assert not loaded(code, home.home) & RESEARCH
