"""Telegram updates that nobody may get anything for, drawn from a seed: every way not to be the owner in private.

Rule 1: a row of ``strange`` never is a genuine word of the owner: what is bent out of shape starts from a stranger's.
Rule 2: the same seed draws the same rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from tests.bot.fakes import OWNER
from tests.bot.test_groups import put_into

Row = dict[str, Any]

COMMANDS = (
    "/panic",
    "/pause",
    "/resume",
    "/start",
    "/limits day_loss_max 50%",
    "/stop BTC 1",
    "/settings",
    "/live",
    "1",
)
NAMES = (
    "Owner",
    "Somebody",
    "firstmate",
    "Telegram",
    "77",
    "𝕺𝖜𝖓𝖊𝖗",
    "Owner\u202e",
    "<b>Owner</b>",
    "'; DROP TABLE journal",
)
CHATS = ("group", "supergroup", "channel")
GARBAGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1e308,
    "",
    "\x00",
    [],
    {},
    [[]],
    {"id": {}},
    "NaN",
    {"type": "private"},
)
ANONYMOUS_ADMIN = 1087968824
OWN_BOT = {"id": 424242, "is_bot": True, "first_name": "firstmate"}
MESSAGE_KINDS = ("edited_message", "channel_post", "edited_channel_post", "business_message", "edited_business_message")
MORE_KINDS = ("guest_message", "quantum_message", "message_v2", "", "Message", "MESSAGE")


class Strangers:
    """Draws strange updates; ``intents`` are proposals that are open, for presses that aim at them."""

    def __init__(self, seed: int, intents: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._intents = intents
        self.drawn: Mapping[str, Callable[[], Row]] = {
            "a stranger": lambda: {"message": self._message(self._stranger())},
            "a stranger in the owner's chat": lambda: {"message": self._message(self._stranger(), self._home())},
            "the owner in a stranger's chat": self._elsewhere,
            "a group or channel": self._in_a_group,
            "an anonymous sender": self._anonymous,
            "a forward by the owner": self._forward,
            "another bot's or account's words": self._borrowed,
            "a message of another kind": self._other_kind,
            "a press": self._press,
            "inline": self._inline,
            "a poll, payment or boost": self._others,
            "our place in a chat": self._place,
            "a reaction, request or connection": self._more_others,
            "two kinds at once": lambda: {**self._other_kind(), **self._press()},
            "unknown fields": lambda: {
                **self._unknown(),
                "message": {**self._message(self._stranger()), **self._unknown()},
            },
        }

    def draw(self) -> tuple[str, Row]:
        """Its kind and an update without its number."""
        name = self._random.choice([*self.drawn])
        return name, self.drawn[name]()

    def bent(self) -> tuple[str, Row]:
        """A stranger's update with something in it that is not what it should be."""
        kind = self._random.choice(("message", "callback_query", "my_chat_member", "inline_query", "poll"))
        bodies: dict[str, Any] = {
            "message": self._message(self._stranger()),
            "callback_query": self._press()["callback_query"] | {"from": self._stranger()},
            "my_chat_member": put_into(self._group()),
            "inline_query": {"id": "1", "from": self._stranger(), "query": "/panic", "offset": ""},
            "poll": {"id": "1", "question": "?", "options": []},
        }
        body = deepcopy(bodies[kind])  # parts of it are others' too
        for _ in range(self._random.randint(1, 3)):
            self._bend(body)
        return "out of shape", {kind: self._random.choice(GARBAGE) if self._random.random() < 0.1 else body}

    def _bend(self, body: Row) -> None:
        """Replace one field, at any depth, with what it should not be."""
        while body:
            name = self._random.choice([*body])
            inner = body[name]
            if isinstance(inner, dict) and inner and self._random.random() < 0.6:
                body = inner
                continue
            body[name] = deepcopy(self._random.choice(GARBAGE))
            return

    def _stranger(self) -> Row:
        """Anybody but the owner, who may be called like the owner."""
        number = self._random.choice((OWNER + 1, -OWNER, OWNER * 10, 1, 0, 2**40, self._random.randint(100, 10**10)))
        name = self._random.choice(NAMES)
        return {
            "id": number,
            "is_bot": self._random.random() < 0.1,
            "first_name": name,
            "last_name": str(OWNER),
            "username": self._random.choice(("owner", "Owner", "firstmate_bot", str(OWNER))),
            "language_code": "en",
        }

    def _owner(self) -> Row:
        return {"id": OWNER, "is_bot": False, "first_name": "Owner", "username": "owner"}

    def _home(self) -> Row:
        return {"id": OWNER, "type": "private", "first_name": "Owner", "username": "owner"}

    def _anybody(self) -> Row:
        return self._owner() if self._random.random() < 0.5 else self._stranger()

    def _group(self) -> Row:
        """A chat that is not private, now and then with the owner's own number."""
        number = self._random.choice((OWNER, -OWNER, -100 * 10**10 - OWNER, -self._random.randint(1, 10**13)))
        return {"id": number, "type": self._random.choice(CHATS), "title": self._random.choice(NAMES)}

    def _text(self) -> str:
        luck = self._random.random()
        if luck < 0.002:
            return self._random.choice(("/panic ", "𝕏", "\x00", "</b>")) * 20_000
        if luck < 0.05:
            return self._random.choice(("/panic" * 700, "𝕺" * 4096, "\u202e/panic", "/panic\x00", "/panic@firstmate"))
        return self._random.choice(COMMANDS)

    def _message(self, sender: Row | None, chat: Row | None = None) -> Row:
        """A message; in the sender's own private chat where no other is given."""
        own = {"id": sender["id"] if sender else 1, "type": "private", "first_name": "x"}
        body: Row = {
            "message_id": self._random.randint(1, 10**6),
            "date": 1_700_000_000,
            "chat": chat or own,
            "text": self._text(),
            "entities": [{"type": "bot_command", "offset": 0, "length": 6}],
        }
        return body | ({"from": sender} if sender else {})

    def _elsewhere(self) -> Row:
        stranger = self._stranger()
        chat = {"id": stranger["id"], "type": "private", "first_name": "Owner", "username": "owner"}
        return {"message": self._message(self._owner(), chat)}

    def _in_a_group(self) -> Row:
        return {"message": self._message(self._anybody(), self._group())}

    def _anonymous(self) -> Row:
        """An anonymous admin, a channel speaking, or nobody: in a group or in the owner's own chat."""
        chat = self._random.choice((self._group(), self._home()))
        sender = self._random.choice((None, self._owner(), {**self._stranger(), "id": ANONYMOUS_ADMIN, "is_bot": True}))
        return {"message": self._message(sender, chat) | {"sender_chat": self._group(), "author_signature": "Owner"}}

    def _forward(self) -> Row:
        """What the owner passed on are somebody's words, whoever that is, the owner included."""
        origin = self._random.choice(
            (
                {"type": "user", "date": 1, "sender_user": self._anybody()},
                {"type": "hidden_user", "date": 1, "sender_user_name": "Owner"},
                {"type": "chat", "date": 1, "sender_chat": self._group(), "author_signature": "Owner"},
                {"type": "channel", "date": 1, "chat": self._group(), "message_id": 1},
            )
        )
        old = {"forward_date": 1, "forward_from": self._anybody()}
        way = self._random.choice(({"forward_origin": origin}, old, {"forward_origin": origin, **old}))
        return {"message": self._message(self._owner(), self._home()) | way}

    def _borrowed(self) -> Row:
        other = {"id": 5, "is_bot": True, "first_name": "Another bot"}
        way = self._random.choice(
            (
                {"via_bot": other},
                {"sender_business_bot": other},
                {"business_connection_id": "b1"},
                {"guest_query_id": "g1"},
                {"guest_bot_caller_user": self._stranger()},
                {"edit_date": 1_700_000_001},
                {"is_automatic_forward": True},
            )
        )
        return {"message": self._message(self._owner(), self._home()) | way}

    def _other_kind(self) -> Row:
        kind = self._random.choice((*MESSAGE_KINDS, *MORE_KINDS))
        return {kind: self._message(self._owner(), self._home())}

    def _press(self) -> Row:
        """A press of a stranger anywhere, or of the owner on what is not in the private chat."""
        intent = self._random.choice((*self._intents, "gone"))
        data = self._random.choice((f"p:a:{intent}", f"p:s:{intent}", "r:status", "c:token", "", "x" * 64))
        under = {"message_id": 1, "date": self._random.choice((0, 1_700_000_000)), "text": "card"}
        place: Row = self._random.choice(({"inline_message_id": "abc"}, {"message": under | {"chat": self._group()}}))
        sender = self._anybody()
        if sender["id"] != OWNER and self._random.random() < 0.5:
            place = {"message": under | {"chat": self._home()}}
        return {"callback_query": {"id": "1", "from": sender, "chat_instance": "1", "data": data, **place}}

    def _inline(self) -> Row:
        query = {"id": "1", "from": self._anybody(), "query": self._text()[:256], "offset": ""}
        chosen = {"result_id": "1", "from": self._anybody(), "query": "/panic", "inline_message_id": "abc"}
        return self._random.choice(({"inline_query": query}, {"chosen_inline_result": chosen}))

    def _others(self) -> Row:
        who = self._anybody()
        source = {"source": "premium", "user": who}
        boost = {"boost_id": "1", "add_date": 1, "expiration_date": 2, "source": source}
        paid = {"currency": "USD", "total_amount": 1, "invoice_payload": "/panic"}
        receipt = {**paid, "telegram_payment_charge_id": "1", "provider_payment_charge_id": "1"}
        address = {
            "country_code": "DE",
            "state": "",
            "city": "x",
            "street_line1": "",
            "street_line2": "",
            "post_code": "",
        }
        gone = {"chat": self._group(), "boost_id": "1", "remove_date": 1, "source": source}
        return self._random.choice(
            (
                {"poll_answer": {"poll_id": "1", "user": who, "option_ids": [0], "option_persistent_ids": ["a"]}},
                {"pre_checkout_query": {"id": "1", "from": who, **paid}},
                {"shipping_query": {"id": "1", "from": who, "invoice_payload": "x", "shipping_address": address}},
                {"purchased_paid_media": {"from": who, "paid_media_payload": "/panic"}},
                {"message": self._message(self._stranger()) | {"successful_payment": receipt}},
                {"chat_boost": {"chat": self._group(), "boost": boost}},
                {"removed_chat_boost": gone},
            )
        )

    def _place(self) -> Row:
        """Our membership: of groups, which are left, and of private chats, which are not."""
        who = self._stranger()
        private = {"id": who["id"], "type": "private", "first_name": "x"}
        status = self._random.choice(("member", "left", "kicked"))
        body = put_into(self._random.choice((self._group(), private)), status) | {"from": self._anybody()}
        return {self._random.choice(("my_chat_member", "my_chat_member", "chat_member")): body}

    def _more_others(self) -> Row:
        who, chat = self._anybody(), self._group()
        liked = {"type": "emoji", "emoji": "👍"}
        seen = {"chat": chat, "message_id": 1, "date": 1, "reactions": [{"type": liked, "total_count": 1}]}
        reaction = {"chat": chat, "message_id": 1, "user": who, "date": 1, "old_reaction": [], "new_reaction": [liked]}
        request = {"chat": chat, "from": who, "user_chat_id": OWNER, "date": 1, "bio": "/panic"}
        business = {"id": "b1", "user": who, "user_chat_id": OWNER, "date": 1, "is_enabled": True}
        return self._random.choice(
            (
                {"message_reaction": reaction},
                {"message_reaction_count": seen},
                {"chat_join_request": request},
                {"business_connection": business},
                {"deleted_business_messages": {"business_connection_id": "b1", "chat": chat, "message_ids": [1]}},
                {"managed_bot": {"user": who, "bot": OWN_BOT}},
            )
        )

    def _unknown(self) -> Row:
        return {f"field_{self._random.randint(1, 9)}": self._random.choice(GARBAGE)}
