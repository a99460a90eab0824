"""Six digits of an authenticator app: right once, in their time, and not after too many wrong ones."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.run.stepup import LOCK, WRONG_MAX, Tries, Verdict, code_in, judge, matching_step, new_seed, otpauth_uri

RFC_SEED = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    """So many seconds after 1970."""
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_digits_are_those_every_authenticator_app_shows(seconds: int, code: str):
    """The published examples of RFC 6238 (appendix B, their last six digits)."""
    assert matching_step(RFC_SEED, code, at(seconds)) == seconds // 30


def test_a_clock_half_a_minute_off_is_forgiven_and_more_is_not():
    """The code of the step before and of the one after fit, the next ones do not."""
    code = "005924"  # of 1234567890
    fits = [off for off in range(-120, 121, 30) if matching_step(RFC_SEED, code, at(1234567890 + off)) is not None]
    assert fits == [-30, 0, 30]


def test_a_code_of_long_ago_fits_nothing():
    """Digits somebody saw yesterday are wrong today."""
    assert matching_step(RFC_SEED, "287082", NOW) is None


@given(st.lists(st.tuples(st.none() | st.integers(0, 12), st.integers(0, 400)), max_size=60))
def test_no_half_minute_counts_twice_and_nothing_counts_while_locked(typed: list[tuple[int | None, int]]):
    """Whatever is typed when: accepted steps only grow, five wrong in a row lock for a quarter of an hour."""
    tries, now, accepted, wrong, locked_at = Tries(), NOW, [], 0, None
    for step, pause_s in typed:
        now += timedelta(seconds=pause_s)
        locked = locked_at is not None and now < locked_at + LOCK
        tries, verdict = judge(tries, step, now)
        assert (verdict is Verdict.LOCKED) == locked
        if locked:
            continue
        if verdict is Verdict.RIGHT:
            assert step is not None
            assert all(step > before for before in accepted)
            accepted, wrong = [*accepted, step], 0
            continue
        wrong += 1
        assert (verdict is Verdict.LOCKS) == (wrong == WRONG_MAX)
        if verdict is Verdict.LOCKS:
            wrong, locked_at = 0, now


def test_the_sixth_wrong_code_is_not_even_looked_at():
    """Five are judged, the fifth locks, and then a right one does not help either."""
    tries, said = Tries(), []
    for step in (None, None, None, None, None, None, 7):
        tries, verdict = judge(tries, step, NOW)
        said.append(verdict)
    assert said == [Verdict.WRONG] * 4 + [Verdict.LOCKS] + [Verdict.LOCKED] * 2
    assert judge(tries, 7, NOW + LOCK)[1] is Verdict.RIGHT


def test_a_used_code_counts_as_a_wrong_one():
    """Whoever looked over a shoulder gets no free tries."""
    tries, _ = judge(Tries(), 5, NOW)
    for _ in range(WRONG_MAX - 1):
        tries, verdict = judge(tries, 5, NOW)
        assert verdict is Verdict.USED
    assert judge(tries, 5, NOW)[1] is Verdict.LOCKS


@pytest.mark.parametrize("text", ["123456", " 123456\n", "123 456", "123-456"])
def test_digits_may_be_typed_as_the_app_shows_them(text: str):
    """In one or in two groups."""
    assert code_in(text) == "123456"


@given(st.none() | st.text(max_size=12) | st.from_regex(r"\A\d{1,9}\Z"))
def test_what_is_not_six_plain_digits_is_no_code(text: str | None):
    """Digits of other scripts, more or fewer of them, words around them: no code."""
    code = code_in(text)
    assert code == "" or (len(code) == 6 and code.isascii() and code.isdigit())
    assert not code or len([c for c in text or "" if c.isdigit()]) == 6


def test_a_new_seed_is_new_and_long_and_its_link_carries_it():
    """160 bits, and what an app scans says six digits, half a minute, SHA1."""
    seed = new_seed()
    assert seed != new_seed()
    assert len(base64.b32decode(seed)) == 20
    link = urlsplit(otpauth_uri(seed, "live"))
    assert (link.scheme, link.netloc, link.path) == ("otpauth", "totp", "/firstmate:live")
    told = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert told == {"secret": seed, "issuer": "firstmate", "digits": "6", "period": "30", "algorithm": "SHA1"}


@pytest.mark.parametrize(
    "written", [RFC_SEED.lower(), " ".join(RFC_SEED), RFC_SEED + "====", RFC_SEED[:4] + "-" + RFC_SEED[4:]]
)
def test_a_seed_is_read_as_people_copy_it(written: str):
    """Case, blanks, dashes and padding do not matter."""
    assert matching_step(written, "287082", at(59)) == 1


@pytest.mark.parametrize(
    "seed", ["", "FAKE", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", base64.b32encode(b"short").decode(), "ü" * 40]
)
def test_a_seed_that_is_none_is_refused_and_not_repeated(seed: str):
    """Too short to be safe, or not base32: one line with the fix, without the seed."""
    with pytest.raises(BadData, match=r"keys set totp") as refused:
        matching_step(seed, "287082", at(59))
    assert not seed or seed not in refused.value.user_text
