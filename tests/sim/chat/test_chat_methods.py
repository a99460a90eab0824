"""The Bot API over HTTP: bodies, wordings, limits, as Telegram answers them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image

from core.sim.chat.server import ChatServer

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
WRONG_TEXT = "strings must be encoded in UTF-8"


class Api:
    """A plain HTTP client of the Bot API."""

    def __init__(self, http: aiohttp.ClientSession, server: ChatServer) -> None:
        self.http = http
        self.server = server

    async def post(self, method: str, token: str = TOKEN, **params: Any) -> dict[str, Any]:
        """The whole answer to a JSON body."""
        async with self.http.post(f"{self.server.url}/bot{token}/{method}", json=params) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == body.get("error_code", 200)
        return body

    async def ok(self, method: str, **params: Any) -> Any:
        """The result."""
        body = await self.post(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refused(self, method: str, **params: Any) -> str:
        """The reason without its 'Bad Request: '."""
        body = await self.post(method, **params)
        assert body["error_code"] == 400, body
        return str(body["description"]).removeprefix("Bad Request: ")

    async def upload(self, method: str, field: str, data: bytes, name: str = "f.png", **params: str) -> dict[str, Any]:
        """The whole answer to a multipart body."""
        form = aiohttp.FormData(params)
        form.add_field(field, data, filename=name)
        async with self.http.post(f"{self.server.url}/bot{TOKEN}/{method}", data=form) as answer:
            body: dict[str, Any] = await answer.json()
        return body


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A client and its fresh chat server."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    async with aiohttp.ClientSession() as http:
        yield Api(http, server)
    await server.stop()


def png(width: int, height: int) -> bytes:
    """A picture file of that size."""
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def inline(**button: Any) -> dict[str, Any]:
    """A keyboard of one button."""
    return {"inline_keyboard": [[button]]}


async def test_every_kind_of_body_means_the_same(api: Api):
    """Query, form, multipart and JSON, by GET and POST, send the same message."""
    url, params = f"{api.server.url}/bot{TOKEN}/sendMessage", {"chat_id": str(OWNER), "text": "hi"}
    multipart = aiohttp.FormData(params, default_to_multipart=True)
    for call in (
        api.http.get(url, params=params),
        api.http.post(url, params=params),
        api.http.post(url, data=params),
        api.http.post(url, data=multipart),
        api.http.post(url.replace("sendMessage", "SENDMESSAGE"), json=params),
    ):
        async with call as answer:
            assert (await answer.json())["result"]["text"] == "hi"
    assert [message.id for message in api.server.messages()] == [1, 2, 3, 4, 5]


async def test_a_body_that_is_no_json_is_refused(api: Api):
    """Nothing is sent."""
    headers = {"Content-Type": "application/json"}
    async with api.http.post(f"{api.server.url}/bot{TOKEN}/sendMessage", data="{", headers=headers) as answer:
        assert answer.status == 400
    assert not api.server.messages()


async def test_a_wrong_token_and_an_unknown_method(api: Api):
    """401 for another bot's token, 404 for none and for a method that does not exist."""
    assert await api.post("getMe", token="424242:OTHER") == {
        "ok": False,
        "error_code": 401,
        "description": "Unauthorized",
    }
    assert await api.post("getMe", token="nonsense") == {"ok": False, "error_code": 404, "description": "Not Found"}
    assert await api.post("sendRichMessage") == {"ok": False, "error_code": 404, "description": "Not Found"}


@pytest.mark.parametrize(
    ("params", "wording"),
    [
        ({"text": "x", "chat_id": 5}, "chat not found"),
        ({"text": "x", "chat_id": ""}, "chat_id is empty"),
        ({}, "message text is empty"),
        ({"text": " \n "}, "message text is empty"),
        ({"text": "x" * 4097}, "message is too long"),
        (
            {"text": "<b>x", "parse_mode": "HTML"},
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        ({"text": "x", "reply_markup": inline(text="a", callback_data="x" * 65)}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_markup": inline(text="a", callback_data="я" * 33)}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_markup": inline(text="a", callback_data="")}, "BUTTON_DATA_INVALID"),
        (
            {"text": "x", "reply_markup": inline(text="a")},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            {"text": "x", "reply_markup": inline(text="", callback_data="a")},
            "inline keyboard button text must be non-empty",
        ),
        (
            {"text": "x", "reply_markup": inline(text="a", url="nowhere")},
            "inline keyboard button URL 'nowhere' is invalid: Wrong HTTP URL",
        ),
        ({"text": "x", "reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
        ({"text": "x", "reply_markup": [1]}, "object expected as reply markup"),
        ({"text": "x", "reply_parameters": {"message_id": 9}}, "message to be replied not found"),
    ],
)
async def test_what_cannot_be_sent_is_refused_in_telegrams_words(api: Api, params: dict[str, Any], wording: str):
    """Each refusal reads as Telegram's and nothing is sent."""
    assert await api.refused("sendMessage", **{"chat_id": OWNER, **params}) == wording
    assert not api.server.messages()


async def test_64_bytes_of_button_data_pass(api: Api):
    """The limit counts bytes of UTF-8 and includes 64."""
    sent = await api.ok("sendMessage", chat_id=OWNER, text="x", reply_markup=inline(text="a", callback_data="я" * 32))
    assert sent["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "я" * 32


async def test_buttons_of_every_kind_come_back_as_sent(api: Api):
    """Link, copy, style and disabled survive."""
    buttons = [
        {"text": "a", "callback_data": "a", "style": "success"},
        {"text": "b", "url": "https://example.org/"},
        {"text": "c", "copy_text": {"text": "fm-1"}},
        {"text": "d", "disabled": {}},
    ]
    sent = await api.ok("sendMessage", chat_id=OWNER, text="x", reply_markup={"inline_keyboard": [buttons]})
    assert sent["reply_markup"] == {"inline_keyboard": [buttons]}


@pytest.mark.parametrize(
    ("method", "params", "wording"),
    [
        ("editMessageText", {"message_id": 1, "text": "card"}, NOT_MODIFIED),
        ("editMessageReplyMarkup", {"message_id": 1}, NOT_MODIFIED),
        ("editMessageText", {"message_id": 9, "text": "x"}, "message to edit not found"),
        ("editMessageText", {"text": "x"}, "message identifier is not specified"),
        ("editMessageText", {"message_id": 1}, "message text is empty"),
        ("editMessageText", {"message_id": 2, "text": "x"}, "message can't be edited"),
        ("editMessageText", {"message_id": 3, "text": "x"}, "there is no text in the message to edit"),
        (
            "editMessageText",
            {"message_id": 1, "text": "x", "reply_markup": {"remove_keyboard": True}},
            "inline keyboard expected",
        ),
        ("editMessageCaption", {"message_id": 1, "caption": "x"}, "there is no caption in the message to edit"),
        ("editMessageCaption", {"message_id": 3, "caption": "x" * 1025}, "message caption is too long"),
        ("deleteMessage", {"message_id": 9}, "message to delete not found"),
        ("getFile", {"file_id": "nothing"}, "invalid file_id"),
        ("sendPhoto", {}, "there is no photo in the request"),
        ("sendPhoto", {"photo": "nothing"}, "wrong file identifier/HTTP URL specified"),
        ("sendPhoto", {"photo": "https://example.org/a.png"}, "failed to get HTTP URL content"),
        ("sendDocument", {"document": "photo-424242-1"}, "can't use file of type Photo as Document"),
        ("sendChatAction", {"action": "dancing"}, "wrong parameter action in request"),
        (
            "answerCallbackQuery",
            {"callback_query_id": "1"},
            "query is too old and response timeout expired or query ID is invalid",
        ),
        ("setMyCommands", {"commands": [{"command": "Not OK", "description": "x"}]}, "BOT_COMMAND_INVALID"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_telegrams_words(
    api: Api, method: str, params: dict[str, Any], wording: str
):
    """Messages: 1 a card of the bot, 2 the owner's, 3 a picture."""
    await api.ok("sendMessage", chat_id=OWNER, text="card")
    api.server.say("mine")
    await api.upload("sendPhoto", "photo", png(2, 2), chat_id=str(OWNER))
    before = api.server.messages()
    assert await api.refused(method, **{"chat_id": OWNER, **params}) == wording
    assert api.server.messages() == before


async def test_pictures_are_measured_and_limited(api: Api):
    """No picture, too long a side, and more than 10 MB are refused."""
    chat = {"chat_id": str(OWNER)}
    wrong = await api.upload("sendPhoto", "photo", b"not a picture", **chat)
    assert wrong["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    long = await api.upload("sendPhoto", "photo", png(1000, 10), **chat)
    assert long["description"] == "Bad Request: PHOTO_INVALID_DIMENSIONS"
    heavy = await api.upload("sendPhoto", "photo", png(2, 2) + b"\0" * (10 * 1024 * 1024), **chat)
    assert "is too big for a photo" in heavy["description"]
    assert not api.server.messages()


async def test_a_file_downloads_under_its_path_and_nothing_else_does(api: Api):
    """getFile names a path; a wrong path or token gets nothing."""
    sent = await api.upload("sendDocument", "document", b"hello", "a.txt", chat_id=str(OWNER))
    path = (await api.ok("getFile", file_id=sent["result"]["document"]["file_id"]))["file_path"]
    for token, wanted, status in ((TOKEN, path, 200), (TOKEN, "documents/../../x", 404), ("1:WRONG", path, 401)):
        async with api.http.get(f"{api.server.url}/file/bot{token}/{wanted}") as answer:
            assert answer.status == status
            assert (await answer.read() == b"hello") == (status == 200)


async def test_a_press_can_be_answered_once(api: Api):
    """The second answer finds the query gone."""
    sent = await api.ok("sendMessage", chat_id=OWNER, text="x", reply_markup=inline(text="a", callback_data="a"))
    api.server.press(sent["message_id"], "a")
    (update,) = await api.ok("getUpdates")
    query = update["callback_query"]
    assert (query["data"], query["from"]["id"], query["message"]["message_id"]) == ("a", OWNER, sent["message_id"])
    assert await api.ok("answerCallbackQuery", callback_query_id=query["id"], text="done", show_alert=True)
    assert [(a.text, a.alert) for a in api.server.answers()] == [("done", True)]
    assert "query is too old" in await api.refused("answerCallbackQuery", callback_query_id=query["id"])


async def test_a_broken_method_answers_as_told():
    """Other Bot API servers lack methods: the chat can play such a one."""
    server = ChatServer(TOKEN, OWNER, faults={"setmycommands": 404, "sendchataction": 500})
    await server.start()
    async with aiohttp.ClientSession() as http:
        api = Api(http, server)
        assert (await api.post("setMyCommands", commands=[]))["error_code"] == 404
        assert (await api.post("sendChatAction", chat_id=OWNER, action="typing"))["error_code"] == 500
        assert await api.ok("getMe")
    await server.stop()


async def test_the_menu_of_the_nearest_scope_is_kept_apart(api: Api):
    """Commands of the owner's chat do not replace the default ones."""
    for scope, name in (({"type": "default"}, "a"), ({"type": "chat", "chat_id": OWNER}, "b")):
        await api.ok("setMyCommands", scope=scope, commands=[{"command": name, "description": name}])
    assert [c["command"] for c in await api.ok("getMyCommands")] == ["a"]
    await api.ok("deleteMyCommands", scope=json.dumps({"type": "chat", "chat_id": OWNER}))
    assert await api.ok("getMyCommands", scope={"type": "chat", "chat_id": OWNER}) == []


async def test_half_a_character_anywhere_is_refused(api: Api):
    """It reaches neither the chat nor its log."""
    button = '{"inline_keyboard":[[{"text":"\\ud83d","callback_data":"a"}]]}'
    assert await api.refused("sendMessage", chat_id=OWNER, text="x", reply_markup=button) == WRONG_TEXT
    assert await api.refused("sendMessage", chat_id=OWNER, text="\ud83d") == WRONG_TEXT
