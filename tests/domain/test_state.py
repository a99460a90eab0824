"""Limits, positions and the state they stand in: core.domain.state."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal

import pytest

from core.domain.errors import BadData
from core.domain.state import Limits, State, drop, put
from tests.builders import a_position, an_order

D = Decimal


@pytest.mark.parametrize("name", [spec.name for spec in fields(Limits)])
@pytest.mark.parametrize("value", [-1, 6])
def test_a_limit_out_of_its_bounds_cannot_be_set(name: str, value: int):
    """No limit below zero, no share above one, no target volatility above five."""
    kind = type(getattr(Limits(), name))
    if kind is int and value > 0:
        assert getattr(Limits(**{name: value}), name) == value
        return
    with pytest.raises(BadData, match=name):
        Limits(**{name: kind(value)})


@pytest.mark.parametrize("name", [spec.name for spec in fields(Limits) if spec.name != "target_volatility"])
@pytest.mark.parametrize("value", [0, 1])
def test_the_bounds_themselves_can_be_set(name: str, value: int):
    """Nothing at all, and everything, are wishes an owner may have."""
    kind = type(getattr(Limits(), name))
    if name == "stale_bars" and value == 0:  # data is never fresher than one bar: zero would never trade again
        with pytest.raises(BadData, match=name):
            Limits(**{name: kind(value)})
        return
    assert getattr(Limits(**{name: kind(value)}), name) == value


def test_a_share_that_is_no_number_cannot_be_a_limit():
    """A limit that compares with nothing would let everything pass."""
    with pytest.raises(BadData, match="day_loss_max"):
        Limits(day_loss_max=D("NaN"))


def test_the_state_cannot_be_changed_in_place():
    """Only a next state exists; the one that was stays."""
    with pytest.raises(FrozenInstanceError):
        State().seq = 1  # type: ignore[misc]


def test_put_and_drop_leave_the_original_alone():
    """A changed copy is a copy."""
    original = {"a": 1}
    assert put(original, "b", 2) == {"a": 1, "b": 2}
    assert drop({"a": 1, "b": 2}, "a") == {"b": 2}
    assert original == {"a": 1}


def test_what_was_paid_on_average():
    """The entry price is money over coins, and zero before the first fill."""
    assert a_position(bought_qty=D(4), bought_quote=D(410)).entry_price == D("102.5")
    assert a_position(bought_qty=D(0)).entry_price == 0


def test_what_is_left_of_an_order():
    """The rest of an order is what it asked for less what it got."""
    assert an_order(qty=D(3), filled_qty=D("0.5")).remaining == D("2.5")
