"""aiogram with models built on first use is aiogram: the same models, the same answers, and pydantic left as it was.

What an import does shows in a fresh process only, so every look is a program of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OTHER_VERSION = """
import importlib.metadata
importlib.metadata.version = lambda name: "0.0.1"
import bot.slim
"""
NO_VERSION = """
import importlib.metadata
def nothing(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = nothing
import bot.slim
"""
BROKEN_HALFWAY = """
import sys
class Once:
    left = 1
    def find_spec(self, name, path, target=None):
        if name == "aiogram.methods.send_photo" and self.left:
            self.left = 0
            raise RuntimeError("no such thing in this version")
sys.meta_path.insert(0, Once())
import bot.slim
"""
WAITING = "from aiogram.methods import SendPhoto\nprint(not SendPhoto.__pydantic_complete__)"
USED = """
from aiogram import Bot, methods, types
from aiogram.client.session.base import BaseSession
message = {"message_id": 7, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "hello"}
made = [
    methods.SendMessage(chat_id=7, text="x", entities=[types.MessageEntity(type="bold", offset=0, length=1)]),
    methods.SendPhoto(chat_id=7, photo=types.BufferedInputFile(b"x", "x.png"), caption="x"),
    methods.SendDocument(chat_id=7, document="id"),
    methods.EditMessageText(chat_id=7, message_id=1, text="x"),
    methods.EditMessageCaption(chat_id=7, message_id=1, caption="x"),
    methods.AnswerCallbackQuery(callback_query_id="1", text="x", show_alert=True),
    methods.GetUpdates(allowed_updates=["message"]),
    methods.GetMe(),
    methods.SetMyCommands(commands=[types.BotCommand(command="a", description="b")],
        scope=types.BotCommandScopeChat(chat_id=7)),
    types.Update.model_validate({"update_id": 1, "message": message}),
    types.Update.model_validate({"update_id": 1, "callback_query": {
        "id": "1", "from": {"id": 7, "is_bot": False, "first_name": "O"}, "chat_instance": "1", "data": "d",
        "message": message}}),
]
print(*(repr(each) for each in made))
"""
EVERY_MODEL = """
import json
from aiogram import methods, types
def said(field):
    return [repr(field.annotation), field.is_required(), repr(field.default), field.alias, repr(field.metadata)]
models = {f"{room.__name__}.{name}": getattr(room, name) for room in (methods, types) for name in room.__all__}
models = {name: model for name, model in models.items() if hasattr(model, "model_rebuild")}
for model in reversed(models.values()):
    assert model.model_rebuild() is not False and model.__pydantic_complete__, model
print(json.dumps({name: {k: said(f) for k, f in model.model_fields.items()} for name, model in models.items()}))
"""
PYDANTIC = """
from pydantic import BaseModel
class Own(BaseModel):
    number: int
print(BaseModel.model_rebuild.__func__.__module__, BaseModel.model_config, Own.__pydantic_complete__, Own.model_config)
"""


def printed(*code: str) -> list[str]:
    """The lines a fresh Python prints, without the addresses of objects."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "\n".join(code)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r" at 0x[0-9a-f]+", "", done.stdout).splitlines()


@pytest.fixture(scope="module")
def plain() -> list[str]:
    """What aiogram is like without any of this: waiting, used, pydantic, every model."""
    return printed("import aiogram", WAITING, USED, PYDANTIC, EVERY_MODEL)


@pytest.fixture(scope="module")
def ours() -> list[str]:
    """The same of aiogram as the bot has it."""
    return printed("import bot.slim", WAITING, USED, PYDANTIC, EVERY_MODEL)


@pytest.mark.parametrize("entry", ["bot.commands.run", "bot.commands.demo"])
def test_the_models_of_the_running_bot_wait_for_their_first_use(entry: str) -> None:
    """Whichever way the assistant is started, nothing brings aiogram in before its models can be told to wait."""
    assert printed(f"import {entry}", WAITING) == ["True"]


@pytest.mark.parametrize(
    "surprise", [OTHER_VERSION, NO_VERSION, BROKEN_HALFWAY], ids=["other version", "no version", "broken halfway"]
)
def test_anything_unexpected_gets_the_plain_import(surprise: str, plain: list[str]) -> None:
    """Another version, or a failure in the middle, costs memory and nothing else."""
    assert printed(surprise, WAITING, USED, PYDANTIC) == plain[:-1]
    assert plain[0] == "False"


def test_what_the_bot_sends_and_receives_is_the_same_either_way(plain: list[str], ours: list[str]) -> None:
    """Every method and update firstmate uses reads the same, field by field."""
    assert ours[1:-2] == plain[1:-2]


def test_pydantic_is_as_it_was(plain: list[str], ours: list[str]) -> None:
    """Models of our own, and of any other library, are built as ever."""
    assert ours[-2] == plain[-2] == "pydantic.main {} True {}"


def test_every_model_there_is_can_be_built_later_and_in_any_order(plain: list[str], ours: list[str]) -> None:
    """Each of aiogram's models comes out with the very fields of the plain import, built last to first."""
    theirs, later = json.loads(plain[-1]), json.loads(ours[-1])
    assert len(theirs) > 500
    assert {name: fields for name, fields in later.items() if fields != theirs[name]} == {}
    assert later.keys() == theirs.keys()


def test_a_bot_of_the_ordinary_kind_walks_through_the_local_chat() -> None:
    """Commands, buttons, edits, pictures, documents, refusals and waits: aiogram's own scenarios pass unchanged."""
    words = [sys.executable, "-m", "pytest", "-p", "bot.slim", "-p", "no:xdist", "-p", "no:cacheprovider"]
    options = ["-o", "addopts=-q --import-mode=importlib", "tests/sim/chat/test_chat_aiogram.py"]
    done = subprocess.run([*words, *options], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
