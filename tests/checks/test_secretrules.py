"""What the secret scan finds, and what it leaves alone."""

from __future__ import annotations

import base64
import hashlib
import json
import string
import textwrap

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.checks.secretrules import findings

ALNUM = string.ascii_letters + string.digits


def like_a_key(seed: str) -> str:
    """64 characters drawn like Binance draws them, the same for the same seed; made here, so that no file holds one."""
    raw = b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(8))
    return "".join([ALNUM[byte % 62] for byte in raw][:64])


def like_a_token(seed: str) -> str:
    return f"{int.from_bytes(seed.encode()[:4].ljust(4, b'7'), 'big') % 10**10:010d}:AA{like_a_key(seed)[:33]}"


def rules(text: str) -> list[str]:
    return [finding.rule for finding in findings(text)]


KEY, TOKEN = like_a_key("one"), like_a_token("one")
ED25519 = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a test").digest())
PEM = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"KEY={KEY}", "exchange key"),
        (f'{{"key": "{KEY}"}}', "exchange key"),
        (f"https://api.example.test/?apiKey={KEY}&x=1", "exchange key"),
        (f"token = '{TOKEN}'", "bot token"),
        (f"https://api.example.test/bot{TOKEN}/getMe", "bot token"),
        (PEM, "private key"),
        (json.dumps({"pem": PEM}), "private key"),
        (PEM.splitlines()[1], "Ed25519 key"),
        (f"otpauth://totp/x?secret={'ABCDEFGHIJKLMNOP'}&issuer=y", "TOTP seed"),
        (f"ghp_{KEY[:36]}", "GitHub token"),
    ],
    ids=["key", "key-json", "key-url", "token", "token-url", "pem", "pem-json", "ed25519", "totp", "github"],
)
def test_each_kind_of_secret_is_found(text: str, rule: str):
    """A key, a token, a private key or a seed in a file is seen, however it is written there."""
    assert rule in rules(text)


@pytest.mark.parametrize("secret", [KEY, TOKEN, PEM], ids=["key", "token", "pem"])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "\\n", '{"x": "'])
def test_base64_hides_nothing(secret: str, before: str):
    """Encoding a secret does not hide it, whatever stands right before it."""
    assert rules(before + base64.b64encode(secret.encode()).decode())


@pytest.mark.parametrize("width", [60, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", "\n    "])
def test_base64_on_many_lines_is_read_as_one(width: int, end: str):
    """A key inside a longer text that was wrapped by an encoder is found."""
    wrapped = end.join(textwrap.wrap(base64.b64encode(f"api key: {KEY} of mine".encode()).decode(), width))
    assert rules(f"data:\n    {wrapped}\n") == ["exchange key"]


def test_hex_and_url_safe_base64_are_read_too():
    """The other two usual encodings hide nothing either."""
    assert rules(KEY.encode().hex()) == rules(KEY.encode().hex().upper()) == ["exchange key"]
    assert rules(base64.urlsafe_b64encode(b"\xff\xfe" + TOKEN.encode()).decode()) == ["bot token"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([KEY[:32], KEY[32:]]),
        json.dumps({"first": KEY[:20], "second": KEY[20:40], "third": KEY[40:]}, indent=2),
        json.dumps(["something", "elsewhere1", KEY[:16], KEY[16:32], KEY[32:48], KEY[48:], "more"]),
        f'key = "{KEY[:40]}" "{KEY[40:]}"',
        f"key = (\n    '{KEY[:30]}'\n    '{KEY[30:]}'\n)",
        f'key = "{KEY[:32]}" + \\\n    "{KEY[32:]}"',
    ],
)
def test_a_key_in_pieces_is_put_together(text: str):
    """Splitting a key over the elements of a list, the values of an object or several literals does not hide it."""
    assert rules(text) == ["exchange key"]


@pytest.mark.parametrize("cut", [12, 24, 40])
def test_a_token_and_an_encoded_key_in_pieces_are_put_together(cut: int):
    """The same goes for bot tokens and for base64 of a key."""
    encoded = base64.b64encode(KEY.encode()).decode()
    assert rules(json.dumps([TOKEN[:cut], TOKEN[cut:]])) == ["bot token"]
    assert rules(json.dumps({"x": [encoded[:cut], encoded[cut:]]})) == ["exchange key"]


@pytest.mark.parametrize(
    "text",
    [
        KEY[:30] + "FAKE" + KEY[34:],
        base64.b64encode((KEY[:30] + "FAKE" + KEY[34:]).encode()).decode(),
        f"1234567890:EXAMPLE{KEY[:28]}",
        "1234567890:AAFAKE" + KEY[:29],
        "otpauth://totp/x?secret=FAKESEEDFAKESEED",
    ],
)
def test_a_canary_that_says_so_is_allowed(text: str):
    """Test values that carry FAKE or EXAMPLE in themselves are no findings."""
    assert rules(text) == []


def test_a_canary_says_so_in_capitals():
    """A key that happens to read "fake" somewhere, in small letters, is a key."""
    assert rules(KEY[:30] + "fake" + KEY[34:]) == ["exchange key"]


def test_a_word_beside_a_real_key_does_not_excuse_it():
    """Only the secret's own characters count, not a comment on its line."""
    assert rules(f"KEY={KEY}  # FAKE, an EXAMPLE") == ["exchange key"]


@given(st.binary())
def test_a_hash_is_no_key(raw: bytes):
    """The hashes of the locks, in either case, are left alone, one by one and in lists."""
    digest = hashlib.sha256(raw).hexdigest()
    other = hashlib.sha256(digest.encode()).hexdigest()
    lines = f"x==1 \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{other}\n"
    assert rules(lines) == rules(lines.upper()) == rules(json.dumps([digest[:32], digest[32:], other])) == []


def test_the_words_of_a_program_are_no_key():
    """Names of 64 characters, a header without its key, symbols in a list: nothing of this is taken for a secret."""
    name = "test_a_name_that_is_long_enough_to_be_a_key_but_is_made_of_words"
    symbols = json.dumps(
        ["BTCUSDT1", "ETHUSDT2", "LINKUSDT", "SOLUSDT4", "ADAUSDT5", "XRPUSDT6", "DOTUSDT7", "BNBUSDT8"]
    )
    assert (
        rules("\n".join([name, symbols, "A" * 64, "a" * 64, 'if text.startswith("-----BEGIN PRIVATE KEY-----"):']))
        == []
    )


def test_a_finding_names_the_line_and_keeps_the_secret():
    """What the scan prints can be pasted into a report without giving the key away."""
    (finding,) = findings(f"one\ntwo\nkey = '{KEY}'\n")
    assert (finding.line, KEY[:4] in finding.hint, KEY[:8] in finding.hint) == (3, True, False)


@given(st.text(max_size=200), st.text(max_size=200), st.integers(0, 10**9))
def test_a_key_is_found_in_any_surroundings(before: str, after: str, seed: int):
    """Whatever stands around it, a key between two characters that are no part of it is found."""
    assert "exchange key" in rules(f"{before}\n{like_a_key(str(seed))} {after}")


@given(st.text(alphabet=ALNUM + "+/=-_\"' ,\n\\:{}[]()", max_size=2_000))
def test_no_text_stops_the_scan(text: str):
    """Whatever is in a file, the scan reads it to the end."""
    findings(text)


def test_keys_as_an_exchange_draws_them_are_found():
    """Of 1,000 keys drawn evenly every one is found, plain and in halves."""
    for number in range(1_000):
        key = like_a_key(f"drawn {number}")
        assert rules(key) == rules(json.dumps([key[:32], key[32:]])) == ["exchange key"]
