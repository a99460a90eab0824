"""`firstmate models`: the models of a mode, their cards, and who forecasts; works beside a running assistant.

Rule 1: a model is promoted only where its gate let it through, it fits the bars and symbols that are set, and the
        process that would serve it can; going back passes over what cannot forecast any more, and says so.
Rule 2: what is swapped is one small file; the assistant that runs takes it up by itself, within a minute.
Rule 3: another mode's model is taken over only where both see the prices of the real market, and is judged the same.
"""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from bot.cardpage.page import page
from bot.wholefile import whole
from core.adapters import statelock
from core.adapters.folders import folder_of
from core.adapters.forecaster import prove
from core.adapters.models import FOLDER, Registry, why_too_old
from core.adapters.redaction import printable
from core.domain.errors import BadData, NeedsOwner
from core.domain.market import SPANS
from core.domain.model import Model
from core.lab_ports import Listed
from core.learn.judge import card, card_text
from core.learn.judge.card import Card
from core.learn.model_files import ours
from core.run.fitting import misfit
from core.run.wayback import go_back
from core.settings import MODES, Settings

HEADS = ("id", "made (UTC)", "family", "rows", "ECE", "gain", "gate", "")
REAL_PRICES = ("paper", "live")
NO_MODELS = "There are no models yet: `./run train` makes them."


@dataclass(frozen=True, slots=True)
class Place:
    """The models of a mode, those that one is taken over from, and why a model would not fit here, "" where it does."""

    registry: Registry
    source: Registry
    unfit: Callable[[Model], str]


def main(args: Namespace, settings: Settings) -> int:
    """Do what was asked; 0. Raises BadData, NeedsOwner, StoreUnusable."""
    if args.id and args.action not in ("show", "promote"):
        raise BadData(f"`./run models {args.action}` takes no ID.")
    if args.json and args.action not in ("show", "list"):
        raise BadData("--json belongs to `./run models list` and `show`.")
    if args.page and (args.json or args.action != "show"):
        raise BadData("--page belongs to `./run models show`, and does not go with --json.")
    mode = _target(args, settings) if args.origin else _mode(args, settings)
    own, source = (Registry(folder_of(settings.home, one) / FOLDER, ours()) for one in (mode, args.origin or mode))
    unfit = partial(misfit, span=SPANS[settings.timeframe], symbols=frozenset(settings.symbols))
    for line in ACTIONS[args.action](args, Place(own, source, unfit)):
        print(line)
    changes = args.action in ("promote", "rollback")
    if changes and mode != settings.mode:
        print(f"That holds for {mode}: {settings.mode} has no models.")
    if changes and (pid := statelock.holder(folder_of(settings.home, mode))):
        print(f"The assistant that runs (process {pid}) takes it up within a minute.")
    return 0


def _mode(args: Namespace, settings: Settings) -> str:
    """The mode whose models are meant: the one set where it has some, else the only one that has. Raises NeedsOwner."""
    there = [mode for mode in MODES if (folder_of(settings.home, mode) / FOLDER).is_dir()]
    if settings.mode in there or len(there) == 1:
        return settings.mode if settings.mode in there else there[0]
    if there:
        raise NeedsOwner(f"The modes {', '.join(there)} have models: say which by FIRSTMATE_MODE.")
    if args.action != "list":
        raise NeedsOwner(NO_MODELS)
    return settings.mode


def _target(args: Namespace, settings: Settings) -> str:
    """The mode that takes a model over. Raises BadData."""
    if args.action != "promote":
        raise BadData("--from belongs to `./run models promote`.")
    if settings.mode not in REAL_PRICES or settings.mode == args.origin:
        others = " or ".join(mode for mode in REAL_PRICES if mode != args.origin)
        raise BadData(f"Models of {args.origin} can be taken over by {others} only: say so by FIRSTMATE_MODE.")
    return settings.mode


def _list(args: Namespace, place: Place) -> list[str]:
    found = place.registry.list()
    if args.json:
        return [json.dumps([_listed(one) for one in found], indent=2)]
    if not found:
        return [NO_MODELS]
    rows = [HEADS, *(_row(one, one.model) for one in found if one.model)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*table, *(printable(one.fault) for one in found if not one.model)]


def _row(one: Listed, model: Model) -> tuple[str, ...]:
    manifest, judged = model.manifest, _card(model)
    made = (one.id, f"{manifest.created_at:%Y-%m-%d %H:%M}", printable(manifest.family), f"{manifest.rows:,}")
    if judged is None:
        return (*made, "-", "-", "no card", _place(one))
    gain = _gain(judged)
    passed = "passed" if judged.promotable else "failed"
    error = f"{judged.judgement.calibration.error:.1%}"
    return (*made, error, "-" if gain is None else f"{gain:+.5f}", passed, _place(one))


def _gain(judged: Card) -> float | None:
    """Log loss below that of the best baseline, nats; None where it was compared with none."""
    return min((baseline.gain.mean for baseline in judged.judgement.baselines), default=None)


def _listed(one: Listed) -> dict[str, object]:
    base = {"id": one.id, "champion": one.champion, "challenger": one.challenger, "fault": one.fault or None}
    if one.model is None:
        return base
    manifest, judged = one.model.manifest, _card(one.model)
    base |= {"created_at": manifest.created_at.isoformat(), "ends_at": manifest.ends_at.isoformat()}
    base |= {"family": manifest.family, "rows": manifest.rows}
    if judged is None:
        return base
    error = judged.judgement.calibration.error
    return base | {"calibration_error": error, "log_loss_gain": _gain(judged), "promotable": judged.promotable}


def _show(args: Namespace, place: Place) -> list[str]:
    model = _named(place.registry, args.id) if args.id else _champion(place.registry)
    if args.json:
        manifest = msgspec.to_builtins(model.manifest)
        return [json.dumps({"id": model.id, "manifest": manifest, "card": model.card}, indent=2)]
    if args.page:
        return [_paged(args.page, model)]
    until = f"It forecasts until {model.manifest.ends_at:%Y-%m-%d}."
    return [card_text.text(_readable(model), model.id), until]


def _paged(name: str, model: Model) -> str:
    """Write the page of a model into a file, and say so; the page itself for `-`. Raises BadData, NeedsOwner."""
    made = page(_readable(model), model.id)
    if name == "-":
        return made
    with whole(Path(name), "--page") as file:
        file.write(made)
    return f"The page of {model.id} is in {printable(name)}: open it in a browser."


def _promote(args: Namespace, place: Place) -> list[str]:
    if not args.id:
        raise BadData("`./run models promote` takes the ID of a model: `./run models list` shows them.")
    model = _named(place.source, args.id)
    judged = _readable(model)
    if not judged.promotable:
        missed = (f"{one.name}: {one.sentence}" for one in judged.criteria if not one.passed)
        said = next(missed, "its card names no criterion.")
        raise NeedsOwner(f"The model {model.id} did not pass its gate: {said}")
    if fault := place.unfit(model):
        raise NeedsOwner(fault)
    if place.registry.too_old(model):  # asked before it is copied: what is refused leaves nothing behind
        raise NeedsOwner(f"{why_too_old(model)}: train anew.")
    asyncio.run(prove(model.folder))
    place.registry.add(model.text, model.manifest, model.card)  # it is there already where it was not taken over
    place.registry.promote(model.id)
    return [f"{model.id} is champion."]


def _rollback(_: Namespace, place: Place) -> list[str]:
    back, passed = asyncio.run(go_back(place.registry, place.unfit, prove))
    return [*map(printable, passed), f"{back} is champion again."]


ACTIONS = {"list": _list, "show": _show, "promote": _promote, "rollback": _rollback}


def _named(registry: Registry, made: str) -> Model:
    """The model of this id. Raises BadData."""
    try:
        return registry.load(made)
    except BadData:
        if any(one.id == made for one in registry.list()):
            raise
    raise BadData(f"There is no model {made}: `./run models list` shows those there are.")


def _readable(model: Model) -> Card:
    """The card of a model. Raises BadData where it is one of another version."""
    if judged := _card(model):
        return judged
    raise BadData(f"The card of the model {model.id} cannot be read by this version: train anew.")


def _champion(registry: Registry) -> Model:
    model, why = registry.champion()
    if model is None:
        raise NeedsOwner(f"{why} `./run train` makes models, `./run models list` shows what there is.")
    return model


def _card(model: Model) -> Card | None:
    """The card of a model, or None where it is one of another version: it is listed, but not let forecast."""
    try:
        return card.from_json(model.card)
    except BadData:
        return None


def _place(one: Listed) -> str:
    return "champion" if one.champion else "challenger" if one.challenger else ""
