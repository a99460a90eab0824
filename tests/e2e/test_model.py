"""A promoted model in the real process: it forecasts, explains and trades, and the rule does not stand in for it."""

from __future__ import annotations

import json
from pathlib import Path

from core.adapters.models import FOLDER, Registry
from core.learn.model_files import ours
from tests.e2e.program import Program, clean_env, rows, run, running
from tests.learn import tiny_models
from tests.run.labs import GOOD_CARD

WORDS = ("demo", "--speed", "max", "--headless", "--approve", "auto", "--symbols", "BTCUSDT,ETHUSDT", "--seed", "3")
BARS = ("--timeframe", "5m", "--bars", "250")  # short bars, between which the model's process is kept


def words(folder: Path) -> tuple[str, ...]:
    return (*WORDS, *BARS, "--state", str(folder / "state"))


def env(folder: Path) -> dict[str, str]:
    return clean_env(folder, history_bars="1200")


def begun(folder: Path) -> Path:
    """A demo that was killed once it traded by the rule; where its state lies."""
    demo = folder / "state" / "demo"
    with running(folder, *words(folder), name="first", env=env(folder)) as first:
        first.wait_until(lambda: "There is no champion yet" in first.out, "word of who forecasts")
        first.kill()
    return demo


def crowned(demo: Path) -> str:
    """The id of a model that was put in the champion's place."""
    registry = Registry(demo / FOLDER, ours())
    made = registry.add(tiny_models.text(1), tiny_models.manifest(span="5m"), GOOD_CARD)
    registry.promote(made)
    return made


def gone_on(folder: Path) -> Program:
    """The same demo, taken up and played to its end."""
    return run(folder, *words(folder), name="again", env=env(folder))


def forecasts(demo: Path) -> list[dict[str, object]]:
    """What was forecast, newest last."""
    found = rows(demo / "firstmate.db", "SELECT forecast FROM signals WHERE forecast IS NOT NULL ORDER BY seq")
    return [json.loads(str(body)) for (body,) in found]


def test_a_promoted_model_forecasts_explains_and_trades(tmp_path: Path) -> None:
    """From its promotion on every forecast is the model's, an order has its reasons, and the money adds up."""
    demo = begun(tmp_path)
    before = len(forecasts(demo))
    made = crowned(demo)
    done = gone_on(tmp_path)
    assert (done.child.returncode, done.err) == (0, ""), done.out[-2000:]
    assert "Both ledgers agree to the last unit of each asset." in done.out
    assert f"The model {made} of " in done.out
    said = forecasts(demo)[before:]
    assert {one["model_id"] for one in said} == {f"model:{made}"}
    assert any(one["contributions"] for one in said)
    assert rows(demo / "firstmate.db", "SELECT 1 FROM intents WHERE strategy LIKE 'model:%'")
    assert rows(demo / "firstmate.db", "SELECT 1 FROM lab_forecasts")


def test_a_champion_that_was_tampered_with_is_refused_and_the_rule_goes_on(tmp_path: Path) -> None:
    """A changed file is a sentence in the chat, never a forecast."""
    demo = begun(tmp_path)
    text = demo / FOLDER / crowned(demo) / "model.txt"
    text.write_text(text.read_text().replace("leaf_value=", "leaf_value=9", 1))
    done = gone_on(tmp_path)
    assert done.child.returncode == 0, done.err
    assert {str(one["model_id"]).partition(":")[0] for one in forecasts(demo)} == {"rule"}
    assert "The rule forecasts, on paper only." in done.out
