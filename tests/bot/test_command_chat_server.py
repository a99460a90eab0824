"""chat-server: the local Bot API alone, as a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from core.adapters import statelock
from tests.bot.lived import firstmate, one_line
from tests.bot.served import Server, serving

MADE_UP = "1000:local-demo-chat"
OURS = "4242:FAKE-TOKEN-for-tests"


def url_of(server: Server) -> str:
    """Where it listens, once it said all it has to say."""
    found = re.search(r"address to (http://127\.0\.0\.1:\d+)", server.until("opens once"))
    assert found
    return found[1]


def called(url: str, token: str, method: str, **params: object) -> Any:
    """The result of one Bot API call."""
    body = json.dumps(params).encode()
    request = urllib.request.Request(f"{url}/bot{token}/{method}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["result"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_any_bot_can_talk_and_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals):
    """The made-up token is printed and opens the API; what the bot says is in the transcript."""
    with serving("chat-server", home=tmp_path / "home") as server:
        url = url_of(server)
        assert f"token: {MADE_UP}" in server.printed
        assert called(url, MADE_UP, "getMe")["id"] == 1000
        called(url, MADE_UP, "sendMessage", chat_id=1, text="hello owner")
        server.until("hello owner")
        code, out, err = server.end(number)
    assert (code, out.splitlines()[-1], err) == (0, "Stopped.", "")
    assert not (tmp_path / "home").exists()


def test_a_token_that_was_set_is_used_and_never_printed(tmp_path: Path):
    """The owner's own token may be a real one."""
    settings = {"telegram_token": OURS, "owner_id": "77"}
    with serving("chat-server", home=tmp_path / "home", **settings) as server:
        url = url_of(server)
        assert called(url, OURS, "sendMessage", chat_id=77, text="hi")["chat"]["id"] == 77
        code, out, err = server.end(signal.SIGTERM)
    assert code == 0
    assert "FAKE" not in server.printed + out + err


def test_with_a_state_folder_the_chat_is_kept(tmp_path: Path):
    """A second start knows the messages of the first."""
    line = ("chat-server", "--state", str(tmp_path / "kept"))
    ids = []
    for _ in range(2):
        with serving(*line, home=tmp_path / "home") as server:
            ids.append(called(url_of(server), MADE_UP, "sendMessage", chat_id=1, text="again")["message_id"])
            server.end(signal.SIGTERM)
    assert ids[1] > ids[0]


def test_a_damaged_log_is_one_line(tmp_path: Path):
    """A chat that cannot be read is exit 4, and left as it is."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "chat.jsonl").write_text("no log\n" * 3)
    done = firstmate("chat-server", "--state", str(tmp_path / "kept"), home=tmp_path / "home")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "kept" / "chat.jsonl").read_text() == "no log\n" * 3


def test_a_taken_port_is_one_line(tmp_path: Path):
    """Another program on the port is told with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = firstmate("chat-server", "--port", str(taken.getsockname()[1]), home=tmp_path / "home")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is not free" in done.stderr


def test_two_on_one_folder_are_refused(tmp_path: Path):
    """One chat has one server."""
    with statelock.hold(tmp_path / "kept"):
        done = firstmate("chat-server", "--state", str(tmp_path / "kept"), home=tmp_path / "home")
    assert done.returncode == 3
    one_line(done)
