"""What was said survives a kill: the log is the chat."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.sim.chat import methods
from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.flood import FloodMeter, FloodPolicy
from core.sim.chat.journal import Journal
from core.sim.chat.room import KEPT_MAX, Acked, Counted, Edited, Posted, Room
from core.sim.chat.values import ApiError, ChatMessage, ChatUser, Upload

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02"


def chat_at(path: Path | None) -> Chat:
    """An open chat of the owner with id 77."""
    chat = Chat("424242:FAKE-TOKEN-for-tests", ChatUser(77), lambda: NOW, path, "firstmate")
    chat.open()
    return chat


def killed(chat: Chat) -> None:
    """Let go as a kill would: nothing more is written."""
    chat.close()


def run(chat: Chat, method: str, **params: object) -> object:
    """What a method of the bot gives."""
    return methods.run(chat, FloodMeter(FloodPolicy()), Call(method.lower(), {"chat_id": 77, **params}))


def test_everything_said_and_done_is_there_after_a_kill(tmp_path: Path):
    """Messages, edits, deletions, buttons, menu and waiting updates come back."""
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    keyboard = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    run(chat, "sendMessage", text="card", reply_markup=keyboard)
    run(chat, "sendMessage", text="gone")
    run(chat, "deleteMessage", message_id=2)
    run(chat, "editMessageText", message_id=1, text="<b>new</b> 😀", parse_mode="HTML", reply_markup=keyboard)
    run(chat, "setMyCommands", commands=[{"command": "a", "description": "b"}])
    chat.say("hello", ChatUser(5, "Stranger"))
    press = chat.press(1, "go")
    before = chat.room
    killed(chat)
    again = chat_at(path)
    assert again.room.messages == before.messages
    assert again.room.pending == before.pending
    assert again.room.commands == before.commands
    assert again.room.counted == before.counted
    assert again.person(5) == ChatUser(5, "Stranger")
    query = again.room.pending[press].payload["id"]
    assert run(again, "answerCallbackQuery", callback_query_id=query) is True
    again.close()


def test_a_confirmed_update_does_not_come_again_and_numbers_go_on(tmp_path: Path):
    """Numbers are never used twice, even when everything they named is gone."""
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    update_id = chat.say("one")
    chat.record(Acked(update_id + 1))
    run(chat, "deleteMessage", message_id=1)
    for _ in range(3):
        killed(chat)
        chat = chat_at(path)
    assert not chat.room.pending
    assert chat.say("two") == update_id + 1
    assert list(chat.room.messages) == [2]
    chat.close()


def test_a_torn_last_line_never_happened(tmp_path: Path):
    """A kill in the middle of a write loses that event alone, and the next start is clean."""
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    chat.say("whole")
    killed(chat)
    path.write_bytes(path.read_bytes() + b'["Posted",{"message":{"id":7')
    for _ in range(2):
        chat = chat_at(path)
        assert [m.text for m in chat.room.messages.values()] == ["whole"]
        chat.say("more") if len(chat.room.messages) > 1 else None
        killed(chat)


@settings(max_examples=25)
@given(cut=st.integers(min_value=0, max_value=4000))
def test_a_log_cut_anywhere_is_the_log_of_an_earlier_moment(tmp_path_factory: pytest.TempPathFactory, cut: int):
    """However much of the end is lost, what remains is a beginning of what was said."""
    path = tmp_path_factory.mktemp("cut") / "chat.jsonl"
    chat = chat_at(path)
    texts = [f"message {n}" for n in range(6)]
    for text in texts:
        chat.say(text)
    killed(chat)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    again = chat_at(path)
    found = [m.text for m in again.room.messages.values()]
    assert found == texts[: len(found)]
    again.close()


def test_damage_inside_the_log_stops_the_start(tmp_path: Path):
    """A damaged log is named with its line and left as it is."""
    path = tmp_path / "chat.jsonl"
    path.write_bytes(b'["Acked",{"below":1}]\nrubbish\n["Acked",{"below":2}]\n')
    with pytest.raises(ValueError, match="line 2 is damaged"):
        chat_at(path)
    assert b"rubbish" in path.read_bytes()


def test_two_servers_cannot_share_a_log(tmp_path: Path):
    """The second is told so in one sentence."""
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    with pytest.raises(ValueError, match="in use by another chat server"):
        chat_at(path)
    chat.close()
    chat_at(path).close()


def test_files_stay_beside_the_log_while_a_message_shows_them(tmp_path: Path):
    """A picture survives a restart; once its message is deleted it goes, and its id is not used again."""
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    call = Call("sendphoto", {"chat_id": 77}, {"photo": Upload("a.png", "image/png", PNG)})
    methods.run(chat, FloodMeter(FloodPolicy()), call)
    killed(chat)
    chat = chat_at(path)
    photo = chat.room.messages[1].photo
    assert photo is not None
    assert photo.path.read_bytes() == PNG
    assert photo.path.parent == tmp_path / "chat_files"
    run(chat, "deleteMessage", message_id=1)
    killed(chat)
    chat = chat_at(path)
    assert not photo.path.exists()
    methods.run(chat, FloodMeter(FloodPolicy()), call)
    assert chat.room.messages[2].photo != photo
    chat.close()


def test_a_moved_state_folder_still_finds_its_pictures(tmp_path: Path):
    """The log names files, not places."""
    chat = chat_at(tmp_path / "old" / "chat.jsonl")
    call = Call("sendphoto", {"chat_id": 77}, {"photo": Upload("a.png", "image/png", PNG)})
    methods.run(chat, FloodMeter(FloodPolicy()), call)
    killed(chat)
    (tmp_path / "old").rename(tmp_path / "new")
    chat = chat_at(tmp_path / "new" / "chat.jsonl")
    photo = chat.room.messages[1].photo
    assert photo is not None
    assert photo.path.read_bytes() == PNG
    chat.close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path):
    """A write that finds no room is taken back whole; when there is room again the log goes on."""
    script = """if True:
        import pathlib, resource, sys
        from core.sim.chat.journal import Journal
        from core.sim.chat.room import Acked
        journal, done = Journal(pathlib.Path(sys.argv[1])), 0
        journal.open()
        journal.rewrite([])
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            while True:
                journal.append(Acked(done))
                done += 1
        except OSError:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        journal.append(Acked(done))
        print(done)
    """
    path = tmp_path / "chat.jsonl"
    printed = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout
    journal = Journal(path)
    assert journal.open() == [Acked(number) for number in range(int(printed) + 1)]
    journal.close()


def test_only_the_newest_thousand_messages_are_kept(tmp_path: Path):
    """Memory and log stay bounded, however long the chat runs."""
    room = Room()
    for number in range(1, KEPT_MAX + 11):
        message = ChatMessage(number, 77, True, "x", (), NOW)
        room.apply(Posted(message))
        room.apply(Edited(message))
    assert list(room.messages) == list(range(11, KEPT_MAX + 11))
    again = Room()
    for event in room.snapshot():
        again.apply(event)
    assert again.messages == room.messages
    assert again.counted == Counted(KEPT_MAX + 10, 0, 0)


def test_the_log_is_rewritten_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A message edited for weeks does not fill the disk."""
    monkeypatch.setattr("core.sim.chat.chat.LINES_MAX", 20)
    path = tmp_path / "chat.jsonl"
    chat = chat_at(path)
    run(chat, "sendMessage", text="start")
    for number in range(200):
        run(chat, "editMessageText", message_id=1, text=f"edit {number}")
    assert path.read_bytes().count(b"\n") < 30
    killed(chat)
    chat = chat_at(path)
    assert chat.room.messages[1].text == "edit 199"
    chat.close()


@pytest.mark.parametrize("kept", [True, False], ids=["with a log", "without"])
def test_pictures_no_message_shows_are_gone_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool):
    """A chat that never restarts does not fill the disk with them; what a message shows stays, also after a kill."""
    monkeypatch.setattr("core.sim.chat.chat.LINES_MAX", 20)
    path = tmp_path / "chat.jsonl" if kept else None
    chat = chat_at(path)
    call = Call("sendphoto", {"chat_id": 77}, {"photo": Upload("a.png", "image/png", PNG)})
    for number in range(1, 51):
        methods.run(chat, FloodMeter(FloodPolicy()), call)
        if number > 3:
            run(chat, "deleteMessage", message_id=number - 3)
        shown = [message.photo for message in chat.room.messages.values()]
        assert all(photo is not None and photo.path.exists() for photo in shown)
        assert len(chat.room.files) < 20
        if kept and number % 25 == 0:
            killed(chat)
            chat = chat_at(path)
            assert [message.photo for message in chat.room.messages.values()] == shown
    assert len({photo.path for photo in chat.room.files.values()}) == len(list(shown[-1].path.parent.iterdir()))
    chat.close()


def test_a_press_older_than_a_quarter_of_an_hour_cannot_be_answered():
    """The answer comes too late, as with Telegram."""
    clock = [NOW]
    chat = Chat("424242:FAKE-TOKEN-for-tests", ChatUser(77), lambda: NOW, None, "firstmate", wall=lambda: clock[0])
    chat.open()
    run(chat, "sendMessage", text="card")
    update_id = chat.press(1, "x")
    clock[0] += timedelta(minutes=16)
    with pytest.raises(ApiError, match="query is too old"):
        run(chat, "answerCallbackQuery", callback_query_id=chat.room.pending[update_id].payload["id"])
    chat.close()
