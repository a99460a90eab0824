"""Every event, every effect and the whole state survive the way to disk and back."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adapters.codec import (
    decode_effect,
    decode_effects,
    decode_event,
    decode_state,
    encode_effects,
    encode_event,
    encode_state,
)
from core.domain import effects, events
from core.domain.effects import Effect
from core.domain.errors import BadData, InvariantBroken
from core.domain.events import Accepted, BalancesSeen, BarSeen, Event
from core.domain.forecast import Contribution, Forecast
from core.domain.market import SPANS, Bar
from core.domain.state import Limits, State, Trust
from tests.adapters.store_samples import START, bar, forecast, opening

ROOT = Path(__file__).resolve().parents[2]

money = st.decimals(allow_nan=False, allow_infinity=False)
prices = st.decimals(min_value="0.00000001", max_value="10000000", places=8)
shares = st.decimals(min_value=0, max_value=1, places=4)
chances = st.floats(0, 1)
texts = st.text(max_size=12)


def kinds_of(root):
    """Every class of events or effects that can be journaled."""
    named = (*vars(events).values(), *vars(effects).values())
    return [k for k in named if isinstance(k, type) and issubclass(k, root) and k is not root]


@st.composite
def bars(draw):
    """A possible bar."""
    low, open_, close, high = (draw(prices) for _ in range(4))
    low, high = min(low, open_, close, high), max(low, open_, close, high)
    return Bar(draw(texts), draw(times), draw(spans), open_, high, low, close, draw(prices))


@st.composite
def forecasts(draw):
    """A possible forecast."""
    p_low, p_win = sorted((draw(chances), draw(chances)))
    return Forecast(
        symbol=draw(texts),
        bar_open_at=draw(times),
        fires=draw(st.booleans()),
        p_win=p_win,
        p_low=p_low,
        win_move=draw(st.floats(1e-9, 9)),
        loss_move=draw(st.floats(1e-9, 0.99)),
        horizon_bars=draw(st.integers(1, 1000)),
        samples=draw(st.integers(0, 10**6)),
        volatility=draw(st.floats(0, 999)),
        model_id=draw(texts),
        contributions=tuple(draw(st.lists(st.from_type(Contribution), max_size=2))),
    )


times = st.integers(0, 4 * 10**15).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
spans = st.sampled_from(sorted(SPANS.values()))
limits = st.builds(Limits, kelly_fraction=shares, day_loss_max=shares, orders_open_max=st.integers(0, 99))


def dictionaries(kind):
    """Mappings as the machine makes them: plain dicts."""
    key, value = get_args(kind)
    return st.dictionaries(st.from_type(key), st.from_type(value), max_size=3)


st.register_type_strategy(Mapping, dictionaries)
st.register_type_strategy(Decimal, money)
st.register_type_strategy(datetime, times)
st.register_type_strategy(timedelta, spans)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(2**53), 2**53))
st.register_type_strategy(str, texts)
st.register_type_strategy(Bar, bars())
st.register_type_strategy(Forecast, forecasts())
st.register_type_strategy(Limits, limits)
st.register_type_strategy(Trust, st.builds(Trust, model_id=texts, share=shares, why=texts))

thorough = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("kind", kinds_of(Event), ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_it_was(kind):
    """An event read from the journal is the event that happened, to the last digit, type and order."""

    @thorough
    @given(st.from_type(kind))
    def there_and_back(event):
        name, body = encode_event(event)
        again = decode_event(name, body)
        assert repr(again) == repr(event)
        assert encode_event(again) == (name, body)

    there_and_back()


@pytest.mark.parametrize("kind", kinds_of(Effect), ids=lambda kind: kind.__name__)
def test_every_effect_comes_back_as_it_was(kind):
    """An effect read from the journal is the effect that was committed."""

    @thorough
    @given(st.lists(st.from_type(kind), max_size=2))
    def there_and_back(effects):
        body = encode_effects(effects)
        assert repr(decode_effects(body)) == repr(tuple(effects))

    there_and_back()


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.from_type(State))
def test_the_state_comes_back_as_it_was(state):
    """A restart knows exactly what was known before it, in the same order."""
    assert repr(decode_state(encode_state(state))) == repr(state)


@given(money)
def test_money_keeps_every_digit(amount):
    """1E-8 stays 1E-8 and 1.10 stays 1.10: money never passes through a float."""
    event = BalancesSeen(START, "t", {"X": amount})
    again = decode_event(*encode_event(event))
    assert again.balances["X"].as_tuple() == amount.as_tuple()


def test_a_mapping_keeps_its_order():
    """What is walked in one order before a restart is walked in the same order after it."""
    event = BalancesSeen(START, "t", {"ZEC": Decimal(1), "ADA": Decimal(2)})
    assert list(decode_event(*encode_event(event)).balances) == ["ZEC", "ADA"]


def test_the_same_value_gives_the_same_bytes_in_every_process():
    """Two runs of one story can be compared byte by byte."""
    script = (
        "import hashlib; from core.adapters.codec import encode_event; "
        "from tests.adapters.store_samples import opening, bar, forecast; from core.domain.events import BarSeen; "
        "story = [*opening(), BarSeen(bar(1).close_at, 't', bar(1), forecast(1))]; "
        "print(hashlib.sha256(b''.join(encode_event(e)[1] for e in story)).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    story = [*opening(), BarSeen(bar(1).close_at, "t", bar(1), forecast(1))]
    here = hashlib.sha256(b"".join(encode_event(event)[1] for event in story)).hexdigest()
    assert seen == {here}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_is_no_number_is_refused_before_it_is_written(number):
    """A feature gone wrong stops one event, not the next start."""
    broken = replace(forecast(1), contributions=(Contribution("rsi", number, 0.1, "text"),))
    with pytest.raises(BadData, match='"value":null'):
        encode_event(BarSeen(START, "t", bar(1), broken))


def test_a_text_that_looks_like_a_broken_number_is_only_text():
    """The owner may write anything; only real numbers are judged."""
    event = Accepted(START, '"value":null', "c", "e")
    assert decode_event(*encode_event(event)) == event


def test_a_body_from_before_a_field_existed_can_be_read():
    """A newer version reads an older journal: a new field has its default."""
    event = decode_event("Canceled", b'{"at":"2024-01-01T00:00:00Z","trace":"t","client_id":"c"}')
    assert event.expired is False


def test_a_body_with_a_field_that_is_gone_can_be_read():
    """A field this version does not know any more does no harm."""
    body = b'{"at":"2024-01-01T00:00:00Z","trace":"t","client_id":"c","colour":"red"}'
    assert decode_event("Absent", body).client_id == "c"


def test_a_word_of_the_owner_from_before_proofs_were_kept_can_be_read():
    """It says that none was kept."""
    body = b'{"at":"2024-01-01T00:00:00Z","trace":"t","update_id":1}'
    assert decode_event("OwnerResumed", body).proof == ""


IMPOSSIBLE_LIMITS = b'{"at":"2024-01-01T00:00:00Z","trace":"t","update_id":1,"limits":{"day_loss_max":"7"}}'


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("Miracle", b"{}", "does not know: update"),
        ("Absent", b"{", "cannot be read"),
        ("Absent", b"{}", "cannot be read"),
        (
            "OwnerSetLimits",
            b'{"at":"2024-01-01T00:00:00Z","trace":"t","update_id":1,"limits":{"day_loss_max":"7"}}',
            "must lie",
        ),
    ],
)
def test_what_cannot_be_read_is_named(kind, body, told):
    """A line of the journal that cannot be read stops the start with a sentence."""
    with pytest.raises(InvariantBroken, match=told):
        decode_event(kind, body)


@pytest.mark.parametrize("body", [b"[", b'[["Miracle",{}]]', b'[["Tell",{}]]'])
def test_effects_that_cannot_be_read_are_named(body):
    """A damaged list of effects is never half a list."""
    with pytest.raises(InvariantBroken):
        decode_effects(body)


def test_one_effect_alone_can_be_read():
    """A message in the outbox is read by its own kind."""
    with pytest.raises(InvariantBroken):
        decode_effect("Tell", b"null")
