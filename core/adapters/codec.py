"""Events, effects and state as JSON bytes and back, exactly.

Rule 1: the same value gives the same bytes in any process, and reading them gives an equal value with equal types.
Rule 2: a mapping keeps its order, because ``step`` may walk it and a replay has to walk the same way.
Rule 3: money stays Decimal, digit for digit; a float that is not a number is refused before it is written.
Rule 4: a field added later with a default reads old bytes; an unknown field in them is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import ModuleType
from typing import Any

import msgspec

from core.domain import effects, events
from core.domain.effects import Effect
from core.domain.errors import BadData, FirstmateError, InvariantBroken
from core.domain.events import Event
from core.domain.forecast import Contribution, Forecast
from core.domain.state import State

_encoder = msgspec.json.Encoder()
_pairs = msgspec.json.Decoder(list[tuple[str, msgspec.Raw]])


def _kinds(file: ModuleType, root: type[Event] | type[Effect]) -> dict[str, msgspec.json.Decoder[Any]]:
    kinds = [kind for kind in vars(file).values() if isinstance(kind, type) and issubclass(kind, root)]
    return {kind.__name__: msgspec.json.Decoder(kind) for kind in kinds if kind is not root}


_events = _kinds(events, Event)
_effects = _kinds(effects, Effect)
_state: msgspec.json.Decoder[State] = msgspec.json.Decoder(State)

_float_names = [f.name for f in (*fields(Contribution), *fields(Forecast)) if f.type == "float"]
# quotes inside a JSON string are escaped, so this finds fields and nothing else
_not_numbers = tuple(f'"{name}":null'.encode() for name in _float_names)


def encode(value: object) -> bytes:
    """``value`` as JSON. Raises BadData where a float is infinite or not a number."""
    body = _encoder.encode(value)
    # hardly a body holds a null, and looking for one costs a third
    if b":null" in body and (fault := next((name for name in _not_numbers if name in body), None)):
        raise BadData(f"{type(value).__name__}: {fault.decode()} where a finite number belongs")
    return body


def encode_event(event: Event) -> tuple[str, bytes]:
    """Kind and body of an event."""
    return type(event).__name__, encode(event)


def decode_event(kind: str, body: bytes | str) -> Event:
    """The event as it was. Raises InvariantBroken where it cannot be read."""
    return _read(_events, kind, body)  # type: ignore[no-any-return]


def encode_effects(effects: Iterable[Effect]) -> bytes:
    """Effects as a JSON list of [kind, body], in order."""
    return encode([(type(effect).__name__, effect) for effect in effects])


def decode_effects(body: bytes | str) -> tuple[Effect, ...]:
    """The effects as they were, in order. Raises InvariantBroken where they cannot be read."""
    try:
        pairs = _pairs.decode(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvariantBroken(f"effects in the journal cannot be read: {error}") from error
    return tuple(_read(_effects, kind, raw) for kind, raw in pairs)


def decode_effect(kind: str, body: bytes | str) -> Effect:
    """One effect as it was. Raises InvariantBroken where it cannot be read."""
    return _read(_effects, kind, body)  # type: ignore[no-any-return]


def encode_state(state: State) -> bytes:
    """The whole state as one JSON object."""
    return encode(state)


def decode_state(body: bytes | str) -> State:
    """The state as it was, its mappings in the order they had. Raises InvariantBroken where it cannot be read."""
    return _read({"State": _state}, "State", body)  # type: ignore[no-any-return]


def _read(decoders: Mapping[str, msgspec.json.Decoder[Any]], kind: str, body: Any) -> Any:
    try:
        return decoders[kind].decode(body)
    except KeyError:
        raise InvariantBroken(
            f"the journal holds a {kind}, which this version does not know: update firstmate"
        ) from None
    except (ValueError, TypeError, RecursionError, FirstmateError) as error:
        raise InvariantBroken(f"a {kind} in the journal cannot be read: {error}") from error
