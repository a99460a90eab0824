"""The transcript reads like the chat."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from core.sim.chat.chat import Chat
from core.sim.chat.room import Edited, Posted
from core.sim.chat.transcript import lines_of
from core.sim.chat.values import Button, CallbackAnswer, ChatMessage, ChatUser, Keyboard, StoredFile

NOW = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
PICTURE = StoredFile("photo-1-1", "photo", "c.png", "image/png", 10, Path("c.png"), 900, 600)


def test_a_card_shows_its_picture_text_and_buttons():
    """Time, who, the picture's size, the words, the buttons."""
    keyboard = Keyboard("inline", ((Button("Approve", "a"), Button("Skip", "s")),))
    card = ChatMessage(1, 7, True, "Buy BTC\nnow", (), NOW, keyboard=keyboard, photo=PICTURE)
    assert list(lines_of(Posted(card), "firstmate")) == [
        "09:30:00  firstmate",
        "          [picture 900x600]",
        "          Buy BTC",
        "          now",
        "          [Approve] [Skip]",
    ]


def test_edits_presses_and_answers_are_told():
    """A press is named by the button's label, an edit by its message."""
    chat, told = Chat("1:FAKE", ChatUser(7), lambda: NOW, None, "firstmate"), []
    chat.listeners.append(lambda event: told.extend(lines_of(event, "firstmate")))
    keyboard = Keyboard("inline", ((Button("Approve", "a"),),))
    chat.record(Posted(ChatMessage(1, 7, True, "Buy?", (), NOW, keyboard=keyboard)))
    update_id = chat.press(1, "a")
    chat.answer(CallbackAnswer(chat.room.pending[update_id].payload["id"], "On its way"))
    chat.record(Edited(ChatMessage(1, 7, True, "Bought", (), NOW, edited=NOW)))
    assert told[3:] == [
        "09:30:00  Owner presses [Approve]",
        "          (toast: On its way)",
        "09:30:00  firstmate edits message 1",
        "          Bought",
    ]
