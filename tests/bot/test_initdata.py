"""Who opened the Mini App: only what Telegram signed for this bot, for its owner, within the hour."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.initdata import Opened, opened
from core.domain.errors import BadData

TOKEN, OTHERS = "424242:FAKE-TOKEN-for-tests", "434343:FAKE-TOKEN-of-another-bot"
OWNER = 77
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
USER = json.dumps({"id": OWNER, "first_name": "Ann & Söhne", "language_code": "en"})


def fields(at: datetime = NOW, **more: str) -> dict[str, str]:
    """What Telegram would sign."""
    return {"query_id": "AAE", "user": USER, "auth_date": str(int(at.timestamp())), "signature": "FAKE", **more}


def signed(said: dict[str, str], token: str = TOKEN) -> str:
    """The text as Telegram hands it to a page, by its documentation."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(said.items()))
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode({**said, "hash": hmac.new(key, text.encode(), hashlib.sha256).hexdigest()})


def refused(init_data: str, token: str = TOKEN, owner_id: int = OWNER) -> str:
    """The word in the log for why it was refused; the sentence for the sender is always the same."""
    with capture_logs() as logs, pytest.raises(BadData, match="could not be opened"):
        opened(init_data, token, owner_id, NOW)
    (line,) = logs
    assert set(line) == {"event", "log_level", "why"}
    return str(line["why"])


def test_the_owner_who_opened_it_just_now_is_let_in():
    """Telegram signed it for this bot, and it is the owner."""
    assert opened(signed(fields()), TOKEN, OWNER, NOW) == Opened(OWNER, NOW)


@pytest.mark.parametrize("age_s", [-60, 0, 3600])
def test_an_hour_is_not_too_old_and_a_minute_ahead_is_no_lie(age_s: int):
    """Clocks differ a little."""
    at = NOW - timedelta(seconds=age_s)
    assert opened(signed(fields(at)), TOKEN, OWNER, NOW).at == at


@pytest.mark.parametrize("age_s", [-(10**9), -61, 3601, 10**9])
def test_what_is_old_or_of_the_future_is_refused(age_s: int):
    """A copy of yesterday's opens nothing."""
    assert refused(signed(fields(NOW - timedelta(seconds=age_s)))) == "age"


def test_what_was_signed_for_another_bot_is_refused():
    """The thief's own bot signs nothing for ours."""
    assert refused(signed(fields(), OTHERS)) == "signature"


def test_without_a_token_nothing_is_believed():
    """Anybody can sign for an empty token."""
    assert refused(signed(fields(), ""), token="") == "length"


@pytest.mark.parametrize("user", ['{"id": 78, "first_name": "Ann"}', '{"id": 78, "first_name": "", "is_bot": true}'])
def test_a_stranger_is_refused_however_well_it_is_signed(user: str):
    """Telegram signs for everybody who opens the page."""
    assert refused(signed(fields(user=user))) == "stranger"


@pytest.mark.parametrize(
    ("user", "why"),
    [("[]", "signature"), ('{"id": "77x", "first_name": "A"}', "signature"), ("77", "signature"), ("{", "signature")],
)
def test_a_user_that_is_none_is_refused(user: str, why: str):
    """What cannot be read is not the owner."""
    assert refused(signed(fields(user=user))) == why


def test_an_opening_by_nobody_is_refused():
    """Some buttons open a page without saying who pressed them."""
    said = fields()
    del said["user"]
    assert refused(signed(said)) == "nobody"


@pytest.mark.parametrize("name", ["hash", "auth_date"])
def test_without_hash_or_time_it_is_refused(name: str):
    """Both have to be there."""
    kept = [part for part in signed(fields()).split("&") if not part.startswith(f"{name}=")]
    assert refused("&".join(kept)) == "form"


@pytest.mark.parametrize("more", ["user=" + quote(USER), "hash=" + "0" * 64, "auth_date=1", "query_id=AAE", "x=&x="])
def test_a_field_said_twice_is_refused(more: str):
    """Whichever of the two counts, somebody would be wrong about it."""
    assert refused(f"{signed(fields())}&{more}") == "form"
    assert refused(f"{more}&{signed(fields())}") == "form"


def test_a_field_without_a_value_is_refused():
    """The signature would not cover it."""
    assert refused(f"{signed(fields())}&start_param=") == "form"


@pytest.mark.parametrize("init_data", ["", "&", "hash", "hash=ä", "a" * 5000, "&".join(f"a{i}=1" for i in range(30))])
def test_what_is_no_init_data_at_all_is_refused(init_data: str):
    """Nothing anybody can send is an error of ours."""
    assert refused(init_data) in ("form", "signature", "length")


@pytest.mark.parametrize("wrong", ["%C3%A4" * 32, "0" * 64, "0" * 63, "F" * 64, "%00"])
def test_a_hash_that_is_none_is_refused(wrong: str):
    """Characters no hash has included."""
    head, _, _ = signed(fields()).rpartition("hash=")
    assert refused(head + "hash=" + wrong) in ("form", "signature")


@given(st.data())
def test_no_change_of_one_character_is_believed(data: st.DataObject):
    """Whatever is changed in what Telegram signed, it is refused or says the very same."""
    whole = signed(fields())
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.characters()) + whole[at + 1 :]
    with suppress(BadData):  # %20 and + mean the same, %C3 and %c3 as well
        assert opened(changed, TOKEN, OWNER, NOW) == Opened(OWNER, NOW)


@given(st.text(max_size=300))
def test_no_text_is_an_error_of_ours(text: str):
    """Anything at all is refused in the same words."""
    for init_data in (text, signed(fields(user=text or "x")), f"{text}&{signed(fields())}"):
        with pytest.raises(BadData):
            opened(init_data, TOKEN, OWNER + 1, NOW)
