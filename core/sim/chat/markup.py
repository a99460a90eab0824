"""A ``reply_markup`` as the keyboard it means, or Telegram's reason for refusing it.

Rule 1: callback data is 1 to 64 bytes of UTF-8, not characters.
Rule 2: an inline button does exactly one thing; a button that does nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.sim.chat.values import Button, Keyboard, bad_request

DATA_MAX_BYTES = 64
COPY_MAX = 256
ROW_MAX = 8
BUTTONS_MAX = 100
ACTIONS = frozenset(
    [
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
        "disabled",
    ]
)


def parse_markup(value: object) -> Keyboard | None:
    """The keyboard of a message, None for none or an empty inline keyboard."""
    if not isinstance(value, Mapping):
        if value:
            raise bad_request("object expected as reply markup")
        return None
    if "inline_keyboard" in value:
        rows = _rows(value["inline_keyboard"], "inline keyboard", _inline_button)
        return Keyboard("inline", rows) if rows else None
    if "keyboard" in value:
        return _reply_keyboard(value)
    if value.get("remove_keyboard"):
        return Keyboard("remove")
    if value.get("force_reply"):
        return Keyboard("force", placeholder=str(value.get("input_field_placeholder") or ""))
    return None


def inline_only(keyboard: Keyboard | None) -> Keyboard | None:
    """``keyboard`` unchanged if an edit may carry it."""
    if keyboard is not None and keyboard.kind != "inline":
        raise bad_request("inline keyboard expected")
    return keyboard


def _reply_keyboard(value: Mapping[str, object]) -> Keyboard:
    return Keyboard(
        "reply",
        _rows(value["keyboard"], "reply keyboard", _reply_button),
        one_time=bool(value.get("one_time_keyboard")),
        resize=bool(value.get("resize_keyboard")),
        placeholder=str(value.get("input_field_placeholder") or ""),
    )


def _rows(value: object, what: str, read: Callable[[object], Button]) -> tuple[tuple[Button, ...], ...]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise bad_request(f"can't parse {what}: expected an Array of Array of buttons")
    rows = tuple(tuple(read(button) for button in row) for row in value if row)
    if sum(map(len, rows)) > BUTTONS_MAX or any(len(row) > ROW_MAX for row in rows):
        raise bad_request("reply markup is too long")
    return rows


def _reply_button(value: object) -> Button:
    text = value if isinstance(value, str) else value.get("text") if isinstance(value, Mapping) else None
    if not isinstance(text, str):
        raise bad_request("can't parse reply keyboard button: Can't find field \"text\"")
    if not text:
        raise bad_request("keyboard button text must be non-empty")
    return Button(text)


def _inline_button(value: object) -> Button:
    if not isinstance(value, Mapping):
        raise bad_request("can't parse inline keyboard button: expected an Object")
    text = value.get("text")
    if not isinstance(text, str):
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    if not ACTIONS & {name for name, given in value.items() if given is not None}:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    return Button(
        text,
        data=_callback_data(value.get("callback_data")),
        url=_url(value.get("url")),
        copy=_copied(value.get("copy_text")),
        style=str(value.get("style") or ""),
        disabled=value.get("disabled") is not None,
    )


def _callback_data(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= DATA_MAX_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return value


def _url(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.startswith(("http://", "https://", "tg://")) or len(value) < 10:
        raise bad_request(f"inline keyboard button URL '{value}' is invalid: Wrong HTTP URL")
    return value


def _copied(value: object) -> str:
    if value is None:
        return ""
    text = value.get("text") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or not 1 <= len(text) <= COPY_MAX:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return text


def markup_json(keyboard: Keyboard | None) -> dict[str, object] | None:
    """The inline keyboard as the Bot API shows it in a message, None for other kinds."""
    if keyboard is None or keyboard.kind != "inline":
        return None
    return {"inline_keyboard": [[_button_json(button) for button in row] for row in keyboard.rows]}


def _button_json(button: Button) -> dict[str, object]:
    shown: dict[str, object] = {"text": button.text}
    if button.data:
        shown["callback_data"] = button.data
    if button.url:
        shown["url"] = button.url
    if button.copy:
        shown["copy_text"] = {"text": button.copy}
    if button.style:
        shown["style"] = button.style
    if button.disabled:
        shown["disabled"] = {}
    return shown
