"""No call, however malformed, breaks the server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.flood import FloodMeter, FloodPolicy
from core.sim.chat.methods import METHODS, run
from core.sim.chat.values import ApiError, ChatUser

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
PARAMS = (
    *("chat_id", "message_id", "text", "caption", "entities", "caption_entities", "parse_mode", "reply_markup"),
    *("inline_keyboard", "keyboard", "callback_data", "url", "copy_text", "photo", "document", "media", "type"),
    *("file_id", "action", "commands", "command", "description", "scope", "message_ids", "reply_parameters"),
    *("callback_query_id", "offset", "length", "force_reply", "remove_keyboard", "language_code"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8) | st.just(OWNER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PARAMS), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(METHODS)), st.dictionaries(st.sampled_from(PARAMS), JSON, max_size=5))
def test_no_parameters_break_a_method(method: str, params: dict[str, Any]):
    """Whatever a bot sends, it gets a result or a 4xx answer, and the chat stays writable."""
    chat = Chat(TOKEN, ChatUser(OWNER), lambda: datetime(2026, 1, 1, tzinfo=UTC), None, "firstmate")
    chat.open()
    meter = FloodMeter(FloodPolicy())
    run(chat, meter, Call("sendmessage", {"chat_id": OWNER, "text": "card"}))
    try:
        json.dumps(run(chat, meter, Call(method, {"chat_id": OWNER, "message_id": 1, **params})))
    except ApiError as error:
        assert 400 <= error.code < 500  # noqa: PT017 - both outcomes are right
    assert chat.say("still here")
    chat.close()
