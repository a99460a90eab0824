"""The Bot API methods of a chat, each a function of the chat and one call.

Rule 1: wording of every refusal is Telegram's own.
Rule 2: order of checks: markup of the text, the chat, the message, then whether anything changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.sim.chat import media
from core.sim.chat import room as events
from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.flood import FloodMeter
from core.sim.chat.outgoing import caption_of, chat_of, editable, place, post, text_of
from core.sim.chat.values import ApiError, BotCommand, CallbackAnswer, bad_request
from core.sim.chat.wire import chat_json

Method = Callable[[Chat, Call], Any]
COUNTED = ("send", "edit")
ANSWER_MAX = 200
ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)
_GIFTS = (
    "unlimited_gifts",
    "limited_gifts",
    "unique_gifts",
    "premium_subscription",
    "gifts_from_channels",
)
_COMMAND = re.compile(r"/?[a-z0-9_]{1,32}")


def get_me(chat: Chat, call: Call) -> dict[str, Any]:
    """The bot itself."""
    return {
        **chat.bot,
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def delete_webhook(chat: Chat, call: Call) -> bool:
    """True; with ``drop_pending_updates`` the waiting updates are gone."""
    if call.flag("drop_pending_updates") and chat.room.pending:
        chat.record(events.Acked(max(chat.room.pending) + 1))
    return True


def get_webhook_info(chat: Chat, call: Call) -> dict[str, Any]:
    """No webhook, and how many updates wait."""
    return {"url": "", "has_custom_certificate": False, "pending_update_count": len(chat.room.pending)}


def get_chat(chat: Chat, call: Call) -> dict[str, Any]:
    """The private chat asked for."""
    shared = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(_GIFTS, False)}
    return {**chat_json(chat_of(chat, call)), **shared}


def send_message(chat: Chat, call: Call) -> dict[str, Any]:
    """The message sent."""
    text, entities = text_of(call)
    return post(chat, call, text, entities)


def edit_message_text(chat: Chat, call: Call) -> dict[str, Any]:
    """The message with its new text; without ``reply_markup`` its buttons go."""
    text, entities = text_of(call)
    message = editable(chat, call)
    if message.media is not None:
        raise bad_request("there is no text in the message to edit")
    return place(chat, call, replace(message, text=text, entities=entities))


def edit_message_caption(chat: Chat, call: Call) -> dict[str, Any]:
    """The picture or document with its new caption."""
    text, entities = caption_of(call)
    message = editable(chat, call)
    if message.media is None:
        raise bad_request("there is no caption in the message to edit")
    return place(chat, call, replace(message, text=text, entities=entities))


def edit_message_reply_markup(chat: Chat, call: Call) -> dict[str, Any]:
    """The message with its new buttons."""
    return place(chat, call, editable(chat, call))


def delete_message(chat: Chat, call: Call) -> bool:
    """True once the message is gone."""
    person = chat_of(chat, call)
    message = chat.room.messages.get(call.integer("message_id"))
    if message is None or message.chat_id != person.id:
        raise bad_request("message to delete not found")
    chat.record(events.Deleted(message.id))
    return True


def delete_messages(chat: Chat, call: Call) -> bool:
    """True; messages that are not there are skipped."""
    person = chat_of(chat, call)
    given = call.json("message_ids", "message_ids")
    wanted = [each for each in given if isinstance(each, int)] if isinstance(given, list) else []
    for message in [chat.room.messages[each] for each in wanted if each in chat.room.messages]:
        if message.chat_id == person.id:
            chat.record(events.Deleted(message.id))
    return True


def send_chat_action(chat: Chat, call: Call) -> bool:
    """True; the page shows it until the next message or 5 s."""
    person = chat_of(chat, call)
    action = call.text("action")
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.tell(events.Acting(person.id, action))
    return True


def answer_callback_query(chat: Chat, call: Call) -> bool:
    """True once the toast or box is shown."""
    text = call.text("text")
    if len(text) > ANSWER_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = CallbackAnswer(call.text("callback_query_id"), text, call.flag("show_alert"), call.text("url"))
    if not chat.answer(answer):
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    return True


def set_my_commands(chat: Chat, call: Call) -> bool:
    """True; the menu of that scope and language is replaced."""
    given = call.json("commands", "commands")
    if not isinstance(given, list):
        raise bad_request("can't parse commands: expected an Array")
    chat.record(events.CommandsSet(_scope(call), tuple(_command(item) for item in given)))
    return True


def _command(item: Any) -> BotCommand:
    name, description = (
        (str(item.get(key) or "") for key in ("command", "description")) if isinstance(item, dict) else ("", "")
    )
    if not _COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(description) <= 256:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return BotCommand(name.lstrip("/"), description)


def _scope(call: Call) -> str:
    scope = call.object("scope", "scope")
    parts = (scope.get("type", "default"), scope.get("chat_id", ""), call.text("language_code"))
    return "/".join(str(part) for part in parts)


def get_my_commands(chat: Chat, call: Call) -> list[dict[str, str]]:
    """The menu of exactly that scope and language."""
    commands = chat.room.commands.get(_scope(call), ())
    return [{"command": item.command, "description": item.description} for item in commands]


def delete_my_commands(chat: Chat, call: Call) -> bool:
    """True; the menu of that scope and language is empty."""
    chat.record(events.CommandsSet(_scope(call), ()))
    return True


def owners_commands(chat: Chat) -> tuple[BotCommand, ...]:
    """The menu the owner sees: that of the chat, else of private chats, else the default one."""
    language = chat.owner.language
    for scope in (f"chat/{chat.owner.id}", "all_private_chats/", "default/"):
        for key in (f"{scope}/{language}", f"{scope}/"):
            if chat.room.commands.get(key):
                return chat.room.commands[key]
    return ()


def set_chat_menu_button(chat: Chat, call: Call) -> bool:
    """True: the page always shows the command menu."""
    return True


def get_chat_menu_button(chat: Chat, call: Call) -> dict[str, str]:
    """The command menu."""
    return {"type": "commands"}


METHODS: dict[str, Method] = {
    method.__name__.replace("_", ""): method
    for method in (
        get_me,
        delete_webhook,
        get_webhook_info,
        get_chat,
        send_message,
        edit_message_text,
        edit_message_caption,
        edit_message_reply_markup,
        delete_message,
        delete_messages,
        send_chat_action,
        answer_callback_query,
        set_my_commands,
        get_my_commands,
        delete_my_commands,
        set_chat_menu_button,
        get_chat_menu_button,
        media.send_photo,
        media.send_document,
        media.edit_message_media,
        media.get_file,
    )
}


def run(chat: Chat, flood: FloodMeter, call: Call) -> Any:
    """The ``result`` of the call. Raises ApiError, 404 for a method this server does not have."""
    method = METHODS.get(call.method)
    if method is None:
        raise ApiError(404, "Not Found")
    if call.method.startswith(COUNTED) and method is not send_chat_action:
        flood.admit(call.integer("chat_id"), chat.wall())
    return method(chat, call)
