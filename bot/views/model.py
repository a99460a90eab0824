"""Models in words: who forecasts, what it is worth, what became of what it said, who may come after it.

Rule 1: pure: values in, formatted text out; the answer before its reasons, no number without what it means.
Rule 2: what the models did not show is said as plainly as what they did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Code, Italic, Pre, Text

from bot.views import words
from bot.views.fitting import fit
from bot.views.modelspec import Dot, ModelSpec, Series
from core.domain.market import from_ms
from core.run.labview import Attempt, Case, Drift, LabView, Level, Seat, Track, Why, Worth

_LIGHTS = {Level.NONE: "🟢", Level.WARN: "🟡", Level.REDUCE: "🟠", Level.ROLLBACK: "🔴"}
_FOLLOWS = {
    Level.NONE: "No drift: market and outcomes are as in training, as far as can be told.",
    Level.WARN: "Drift, as a warning; nothing changes yet.",
    Level.REDUCE: "Drift: new positions are halved.",
    Level.ROLLBACK: "Drift: the model goes.",
}
RULE_ONLY = (
    "A model forecasts only once its gate let it through: it has to beat doing nothing and its baselines on bars it "
    "had not seen, and to be calibrated. Until then a fixed rule forecasts; it trades on paper only."
)


def none(mode: str) -> str:
    """The answer where no lab runs."""
    return f"No model runs in {mode} mode: the fixed rule forecasts, and says so on every card."


def model_card(view: LabView, zone: ZoneInfo) -> Text:
    """Everything about the models in use, in one message."""
    blocks = [_first(view, zone)]
    if view.challenger:
        blocks.append(_second(view, view.challenger, zone))
    if view.champion:
        blocks.append(_drift(view.drift))
    return fit(blocks, None, Text("\n", Italic(_training(view, zone))))


def _first(view: LabView, zone: ZoneInfo) -> Text:
    """Whoever forecasts."""
    if view.champion is None:
        return Text(*_rule(view, zone))
    return Text(*_champion(view, view.champion, zone))


def _rule(view: LabView, zone: ZoneInfo) -> Iterator[object]:
    yield Bold("The rule forecasts, no model")
    yield f"\n{RULE_ONLY}"
    if view.real_money:
        yield " With real money nothing is bought until then."
    yield f"\n\n{view.nobody}\n"
    if view.newest:
        made = f"{view.newest.id} of {_day(view.newest.made_at, zone)}"
        yield f"The newest model, {made}: {_verdict(view.newest.worth)}\n"
    yield from ("Train one: ", Code("/retrain"), ", or ", Code("firstmate train"), " on the server.\n")


def _champion(view: LabView, seat: Seat, zone: ZoneInfo) -> Iterator[object]:
    yield from _in_use(view, seat) if view.trust.model_id == seat.id else _not_in_use(view, seat)
    yield f"\n{_origin(seat, zone)}\n\n{_verdict(seat.worth)}\n"
    if seat.worth:
        yield f"{_honesty(seat.worth)}\n"
    yield from ("\n", Bold("Live"), *(f"\n{said}" for said in seat.track.sentences), "\n")


def _in_use(view: LabView, seat: Seat) -> Iterator[object]:
    yield Bold(f"🧪 Model {seat.id} forecasts")
    if view.trust.share < 1:
        yield f"\nTrusted with {words.percent(view.trust.share, 0)} of the usual size: {view.trust.why}"
    if view.silence:
        yield f"\n🔴 No forecast at the newest bar. {view.silence}"


def _not_in_use(view: LabView, seat: Seat) -> Iterator[object]:
    """It was refused, or nobody has looked at it yet: while another is in use, a silence is that one's."""
    before = view.trust.model_id
    if view.silence and not before:
        yield Bold(f"⚪ Model {seat.id} does not forecast now")
        yield f"\nIt is champion, but it is not in use. {view.silence} The rule forecasts."
        return
    yield Bold(f"⚪ Model {seat.id} does not forecast yet")
    who = f"the model {before}" if before else "the rule"
    yield f"\nIt is the new champion, taken up within a minute; until then {who} forecasts."


def _second(view: LabView, seat: Seat, zone: ZoneInfo) -> Text:
    """The challenger beside the champion."""
    parts: list[object] = ["\n", Bold(f"Challenger {seat.id}"), ", forecasts in its shadow"]
    parts += [f"\n{_origin(seat, zone)}\n{_verdict(seat.worth)}"]
    if view.champion:
        parts += ["\n", Pre(_beside(view.champion.track, seat.track))]
    if view.duel:
        parts += ["\n", view.duel.sentence]
    return Text(*parts, "\n")


def _origin(seat: Seat, zone: ZoneInfo) -> str:
    return (
        f"{seat.family}, trained {_day(seat.made_at, zone)} on {seat.rows:,} bets of "
        f"{words.plural(seat.symbols, 'pair')}, {seat.span} bars from {seat.first:%Y-%m-%d} to {seat.last:%Y-%m-%d}; "
        f"good until {_day(seat.ends_at, zone)}."
    )


def _day(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y}"


def _verdict(worth: Worth | None) -> str:
    """Whether it beats doing nothing, in plain words."""
    if worth is None:
        return "Its card cannot be read, so nothing is known of its worth."
    if not worth.beats:
        failed = f"{len(worth.missed)} of {worth.criteria} criteria: {', '.join(worth.missed)}"
        return f"❌ Not shown to beat doing nothing; its gate refuses it, for {failed}. {worth.sentence}".rstrip()
    return (
        f"✅ Beats doing nothing, and passed its gate: {worth.bets:,} bets on bars it had not seen "
        f"({worth.first} to {worth.last}) earned {words.signed_percent(worth.per_bet, 2)} each after costs, "
        f"{words.signed_percent(worth.total)} in all."
    )


def _honesty(worth: Worth) -> str:
    return (
        f"Forecast and outcome differed by {words.percent(worth.error)} on average (ECE; noise alone makes "
        f"{words.percent(worth.floor)}). What it wins at worst held on other quarters in "
        f"{words.percent(worth.held, 0)} of the cases; a right bound shows {words.percent(worth.expected, 0)} or more."
    )


def _beside(champion: Track, challenger: Track) -> str:
    """Two live records, a column each."""
    heads, columns = ("settled", "worth", "said", "came", "Brier"), (_column(champion), _column(challenger))
    rows = [("", "champion", "challenger"), *zip(heads, *columns, strict=True)]
    return "\n".join(f"{name:<8}{left:>11}{right:>12}" for name, left, right in rows)


def _column(track: Track) -> tuple[str, ...]:
    if not track.count:
        return ("-",) * 5
    shares = words.percent(track.said), words.percent(track.came)
    return (f"{track.count:,}", f"{track.effective:,.0f} apart", *shares, f"{track.brier:.3f}")


def _drift(drift: Drift) -> Text:
    said = "".join(f"\n{sentence}" for sentence in drift.sentences)
    return Text("\n", f"{_LIGHTS[drift.level]} ", Bold(_FOLLOWS[drift.level]), said, "\n")


def _training(view: LabView, zone: ZoneInfo) -> str:
    if view.running:
        return f"A training runs since {words.moment(view.running.begun, zone)}: /retrain"
    return past(view.last, zone) or "No training yet: /retrain begins one, or the night (03:10, no quick demo)."


def past(last: Attempt | None, zone: ZoneInfo) -> str:
    """What became of the newest training; empty before the first."""
    if last is None or not last.said:
        return ""
    return f"Last training {words.moment(last.begun, zone)}: {last.said}"


def retrain_question(last: Attempt | None, zone: ZoneInfo, hopeless: str = "") -> Text:
    """What a press on the button would do, and why nothing can come of it, where that is known."""
    said = "\n\n".join(filter(None, (hopeless, past(last, zone))))
    return Text(
        Bold("Train a new model now?"),
        "\nIt takes up to 30 minutes in a process of its own, at low priority; trading goes on and the champion stays. "
        "It gets a place only if its gate lets it through.",
        *([f"\n\n{said}"] if said else []),
    )


def retrain_running(running: Attempt, ran_s: float, zone: ZoneInfo) -> Text:
    """A training that has been under way for ``ran_s`` seconds."""
    who = "as you asked" if running.asked else "as every night"
    return Text(
        Bold(f"A training has run for {words.ago(ran_s)}"),
        f", since {words.moment(running.begun, zone)}, {who}. I tell what came of it.",
    )


def promotion(seat_id: str) -> str:
    """The question before the challenger takes over."""
    return f"{seat_id} would forecast from the next bar on, in place of the champion."


def going_back(made: str, passed: Sequence[str]) -> str:
    """The question before a champion from before takes over; ``passed``: why newer ones cannot."""
    asked = f"{made}, champion before, would forecast from the next bar on. There is no way back to who forecasts now."
    return " ".join((*passed, asked))


def alike(seen: Why, zone: ZoneInfo) -> Sequence[str]:
    """What else is known of a decision: why nothing spoke, and how similar bars went."""
    notes = [seen.note] if seen.note else []
    past_ones = seen.alike
    if past_ones and seen.since and past_ones.enough:
        ended = f"{past_ones.won} won, {past_ones.lost} lost, {past_ones.late} ran out of time"
        forecast = seen.decision.forecast
        given = f"; this one was given {words.percent(forecast.p_win, 0)}" if forecast else ""
        notes.append(
            f"Of the {past_ones.count} most alike bars I forecast since {_day(seen.since, zone)}, {ended}: "
            f"{words.percent(past_ones.mean, 0)} of a win on average{given}."
        )
    elif past_ones:
        notes.append(f"Too few similar bars are settled to tell how they went: {past_ones.count}.")
    return notes


def nearest(seen: Why, zone: ZoneInfo) -> Sequence[str]:
    """The most alike bars one by one: which, when, what was said of it, and how it ended; the nearest first."""
    past_ones = seen.alike
    if past_ones is None or not past_ones.enough:
        return []
    return [
        f"{one.symbol}, {_day(from_ms(one.open_ms), zone)}: given {words.percent(one.said, 0)}, {_ended(one)}"
        for one in past_ones.nearest
    ]


def _ended(one: Case) -> str:
    if one.won or one.lost:
        return "won" if one.won else "lost"
    return f"ran out of time at {words.percent(one.outcome, 0)} of a win"


def model_picture(view: LabView, staged: str, zone: ZoneInfo) -> ModelSpec | None:
    """The record of whoever is shown first; None where there is no model at all."""
    seat = view.champion or view.newest
    if seat is None:
        return None
    worth = seat.worth
    tested = tuple(Dot(one.said, one.came, one.count, min(1.0, one.error)) for one in worth.table) if worth else ()
    live = tuple(Dot(one.said, one.came, one.count) for one in seat.track.bins)
    place = "champion" if view.champion else "no champion"
    return ModelSpec(
        title=f"Model {seat.id}",
        subtitle=f"{place}; {_briefly(worth)}",
        badge=staged,
        tested=Series("tested on bars it had not seen", tested),
        live=Series("live", live),
        notes=seat.track.sentences[:-1][:2],
        footer=f"trained {_day(seat.made_at, zone)} on {seat.rows:,} bets; on the line it says what is true",
    )


def _briefly(worth: Worth | None) -> str:
    if worth is None:
        return "its card cannot be read"
    return "beats doing nothing" if worth.beats else "not shown to beat doing nothing"
