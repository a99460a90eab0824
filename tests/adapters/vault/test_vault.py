"""The vault as its user meets it: what goes in comes out, and what a thief or a cut leaves is refused or whole."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import string
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters import private_file
from core.adapters.redaction import redact
from core.adapters.vault import KekKind, StoreKind, Tampered, Unlock, create_vault, exists, open_vault
from core.adapters.vault import document as documents
from core.adapters.vault import mark as marks
from core.adapters.vault.keyrings import Keyring
from core.adapters.vault.mark import Mark
from core.adapters.vault.unlocking import NEXT_CREDENTIAL
from core.domain.errors import BadData, FirstmateError, NeedsOwner, RetryLater, StoreUnusable
from core.setting_kinds import Secret
from tests.adapters.vault.rig import (
    CHEAP,
    NEW_PASSPHRASE,
    PASSPHRASE,
    SECRET,
    TOKEN,
    KeyringInMemory,
    Ways,
    made,
    ways,
    whole,
)

SEALED, MARK = "vault.sealed", "vault.mark"
KINDS: tuple[KekKind, ...] = ("keyring", "credential", "passphrase")
STORES: tuple[StoreKind, ...] = ("keyring", "file")


class Cut(BaseException):
    """The power failed."""


def refused(home: Path, way: Ways) -> bool:
    """Whether opening is refused with one line that shows no secret."""
    try:
        open_vault(home, way.unlock)
    except (NeedsOwner, StoreUnusable) as error:
        shown = error.user_text
        return "\n" not in shown and not any(one.reveal() in shown for one in (TOKEN, SECRET, PASSPHRASE))
    return False


@pytest.mark.parametrize(("kek", "store"), list(itertools.product(KINDS, STORES)))
def test_what_was_put_in_comes_out_after_a_restart(kek: KekKind, store: StoreKind, tmp_path: Path):
    """Whatever the key comes from and wherever the records lie."""
    way = ways(tmp_path)
    made(tmp_path, way, kek, store)
    again = open_vault(tmp_path, way.unlock)
    assert whole(again)
    assert (again.kek, again.store) == (kek, store)
    assert (tmp_path / SEALED).exists() is (store == "file")


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
@pytest.mark.parametrize("kek", ["credential", "passphrase"])
@pytest.mark.parametrize("name", [SEALED, MARK])
def test_a_vault_with_any_byte_flipped_is_refused(name: str, kek: KekKind, flip: int, tmp_path: Path):
    """Not a single byte of either file can be changed unseen, by one bit or by all."""
    way = ways(tmp_path)
    made(tmp_path, way, kek)
    path = tmp_path / name
    before = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for at, byte in enumerate(before):
            os.pwrite(file.fileno(), bytes([byte ^ flip]), at)
            assert refused(tmp_path, way), at
            os.pwrite(file.fileno(), bytes([byte]), at)
    assert whole(open_vault(tmp_path, way.unlock))


@pytest.mark.parametrize("name", [SEALED, MARK])
def test_a_vault_cut_short_or_grown_is_refused(name: str, tmp_path: Path):
    """Half a file, an empty one, or one with something appended."""
    way = ways(tmp_path)
    made(tmp_path, way)
    path = tmp_path / name
    before = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for end in reversed(range(len(before))):
            file.truncate(end)
            assert refused(tmp_path, way), end
    for more in (b"\n", b" ", b"\0", before):
        path.write_bytes(before + more)
        assert refused(tmp_path, way), more


def test_an_older_vault_put_back_is_refused(tmp_path: Path):
    """A revoked key does not come back with yesterday's file."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    older = (tmp_path / SEALED).read_bytes()
    vault.remove("exchange-live")
    (tmp_path / SEALED).write_bytes(older)
    with pytest.raises(Tampered, match="older"):
        open_vault(tmp_path, way.unlock)


def test_an_older_vault_put_back_into_the_keyring_is_refused(tmp_path: Path):
    """The mark lies apart from the records, wherever these are."""
    way = ways(tmp_path)
    vault = made(tmp_path, way, "credential", "keyring")
    older = dict(way.backend.kept)
    vault.remove("exchange-live")
    way.backend.kept.update(older)
    with pytest.raises(Tampered, match="older"):
        open_vault(tmp_path, way.unlock)


def test_a_vault_without_its_mark_is_refused(tmp_path: Path):
    """Deleting the mark does not make an old vault young."""
    way = ways(tmp_path)
    made(tmp_path, way)
    (tmp_path / MARK).unlink()
    with pytest.raises(Tampered, match="missing"):
        open_vault(tmp_path, way.unlock)


@pytest.mark.parametrize("made_up", ["00" * 8, ""])
def test_a_mark_with_an_entry_nobody_proved_is_refused_and_no_key_is_forgotten_by_it(made_up: str, tmp_path: Path):
    """Who can write the mark makes the keyring lose no key, neither by an entry made up nor by one of another time."""
    way = ways(tmp_path)
    vault = made(tmp_path, way, "keyring")
    (older,) = marked(tmp_path).entries
    vault.rotate("keyring")
    mark, extra = marked(tmp_path), msgspec.structs.replace(older, key_id=made_up or older.key_id)
    other = f"firstmate/vault-key-{mark.install}-{extra.key_id}"
    way.backend.kept[other] = "a1" * 32
    marks.write(tmp_path, msgspec.structs.replace(mark, entries=(*mark.entries, extra)))
    assert refused(tmp_path, way)
    assert other in way.backend.kept


def marked(home: Path) -> Mark:
    """The mark as it stands."""
    mark = marks.read(home)
    assert mark is not None
    return mark


def test_the_vault_of_another_installation_is_refused_even_with_the_same_key(tmp_path: Path):
    """Two assistants with one key cannot be given each other's secrets."""
    way = ways(tmp_path)
    for name in ("one", "two"):
        made(tmp_path / name, way)
    (tmp_path / "one" / SEALED).write_bytes((tmp_path / "two" / SEALED).read_bytes())
    with pytest.raises(Tampered, match="does not belong"):
        open_vault(tmp_path / "one", way.unlock)


def test_an_export_passed_off_as_the_vault_is_refused(tmp_path: Path):
    """A sealed export is taken in by command alone."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    (tmp_path / SEALED).write_bytes(vault.exported(PASSPHRASE, CHEAP))
    with pytest.raises(Tampered):
        open_vault(tmp_path, way.unlock)


def test_a_mark_left_behind_by_a_cut_is_brought_forward(tmp_path: Path):
    """A power cut between vault and mark locks nobody out, and opens no way back."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    behind, older = (tmp_path / MARK).read_bytes(), (tmp_path / SEALED).read_bytes()
    vault.put("totp", {"seed": Secret("FAKEFAKEFAKEFAKE")})
    (tmp_path / MARK).write_bytes(behind)
    assert whole_but_more(tmp_path, way)
    (tmp_path / SEALED).write_bytes(older)
    with pytest.raises(Tampered, match="older"):
        open_vault(tmp_path, way.unlock)


def whole_but_more(home: Path, way: Ways) -> bool:
    """Whether the vault opens with the record that was added last."""
    return open_vault(home, way.unlock).reveal("totp", "seed") == Secret("FAKEFAKEFAKEFAKE")


@pytest.mark.parametrize(("wrong", "said"), [("passphrase", "passphrase"), ("credential", "credential")])
def test_a_wrong_key_is_told_from_a_changed_vault(wrong: KekKind, said: str, tmp_path: Path):
    """Who mistyped is asked again, not sent to look for a thief."""
    way = ways(tmp_path)
    made(tmp_path, way, wrong)
    way.typed = NEW_PASSPHRASE
    way.credential("b2")
    with pytest.raises(NeedsOwner, match=f"This {said} does not open the vault"):
        open_vault(tmp_path, way.unlock)


def test_a_vault_whose_key_is_nowhere_says_how_to_give_it(tmp_path: Path):
    """A service without its credential, and a start without a terminal, get the fix in one line."""
    way = ways(tmp_path)
    made(tmp_path / "c", way)
    made(tmp_path / "p", way, "passphrase")
    with pytest.raises(NeedsOwner, match="LoadCredentialEncrypted"):
        open_vault(tmp_path / "c", Unlock(floor=CHEAP))
    with pytest.raises(NeedsOwner, match="--passphrase-fd"):
        open_vault(tmp_path / "p", Unlock(floor=CHEAP))


def test_a_folder_without_a_vault_says_how_to_make_one(tmp_path: Path):
    """Nothing there is neither locked nor broken."""
    assert not exists(tmp_path)
    with pytest.raises(NeedsOwner, match=r"\./run keys set"):
        open_vault(tmp_path, Unlock())


def test_a_keyring_that_lost_the_vault_is_not_taken_for_no_vault(tmp_path: Path):
    """In another session the owner is sent to the right one, and nothing new is made over it."""
    way = ways(tmp_path)
    made(tmp_path, way, "keyring", "keyring")
    way.backend = KeyringInMemory()
    assert exists(tmp_path)
    with pytest.raises(NeedsOwner, match="does not hold the vault"):
        open_vault(tmp_path, way.unlock)


def test_the_files_are_for_this_user_alone(tmp_path: Path):
    """A vault that others can read is refused, although it is sealed."""
    way = ways(tmp_path)
    made(tmp_path, way)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in (SEALED, MARK)} == {0o600}
    (tmp_path / SEALED).chmod(0o640)
    with pytest.raises(StoreUnusable, match="chmod 600"):
        open_vault(tmp_path, way.unlock)


def test_no_secret_stands_in_any_file(tmp_path: Path):
    """What was typed is on the disk in sealed form only."""
    made(tmp_path, ways(tmp_path))
    there = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert not any(one.reveal().encode() in there for one in (TOKEN, SECRET))


def test_a_secret_that_comes_out_is_concealed_from_the_logs(tmp_path: Path):
    """Whoever logs it after that logs stars; a token's second half too."""
    way = ways(tmp_path)
    vault = create_vault(tmp_path, way.unlock, "credential", "file")
    vault.put("telegram", {"token": Secret("77:FAKE-NEVER-SHOWN-for-tests")})
    open_vault(tmp_path, way.unlock).reveal("telegram", "token")
    assert "NEVER-SHOWN" not in redact("it is 77:FAKE-NEVER-SHOWN-for-tests, or FAKE-NEVER-SHOWN-for-tests")


def test_nothing_of_a_vault_shows_when_it_is_printed(tmp_path: Path):
    """Its key prints as stars and is not pickled."""
    vault = made(tmp_path, ways(tmp_path))
    assert "a1a1" not in repr(vault._kek)
    with pytest.raises(TypeError):
        vault._kek.__reduce__()


def test_a_record_is_replaced_whole_and_removed_whole(tmp_path: Path):
    """No half of an old key stays beside half of a new one."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    vault.put("exchange-live", {"key": Secret("FAKE-KEY-2")})
    assert vault.reveal("exchange-live", "secret") is None
    assert vault.remove("telegram")
    assert not vault.remove("telegram")
    assert [one.record for one in open_vault(tmp_path, way.unlock).records()] == ["exchange-live"]


def test_two_commands_at_once_lose_no_key(tmp_path: Path):
    """The one that looked first is told to try again."""
    way = ways(tmp_path)
    made(tmp_path, way)
    first, second = open_vault(tmp_path, way.unlock), open_vault(tmp_path, way.unlock)
    second.put("totp", {"seed": Secret("FAKEFAKEFAKEFAKE")})
    with pytest.raises(RetryLater, match="try again"):
        first.remove("telegram")
    assert whole_but_more(tmp_path, way)


def test_a_change_waits_for_nobody(tmp_path: Path):
    """While another command changes the vault this one ends with a line."""
    vault = made(tmp_path, ways(tmp_path))
    with (tmp_path / "vault.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RetryLater, match="Another command"):
            vault.remove("telegram")


def test_a_vault_is_not_made_over_another(tmp_path: Path):
    """Keys are never lost to a second beginning."""
    way = ways(tmp_path)
    made(tmp_path, way)
    with pytest.raises(NeedsOwner, match="already"):
        create_vault(tmp_path, way.unlock, "credential", "file")


@pytest.mark.parametrize("store", STORES)
def test_a_vault_that_is_gone_is_not_begun_anew_over_its_mark(store: StoreKind, tmp_path: Path):
    """What a backup can still bring back is not made worthless; moved away by the owner's own hand, it is."""
    way = ways(tmp_path)
    made(tmp_path, way, "credential", store)
    (tmp_path / SEALED).unlink(missing_ok=True)
    way.backend.kept.clear()
    mark = (tmp_path / MARK).read_bytes()
    assert exists(tmp_path)
    with pytest.raises(NeedsOwner, match=r"move .*vault\.mark away"):
        create_vault(tmp_path, way.unlock, "credential", store)
    assert (tmp_path / MARK).read_bytes() == mark
    assert refused(tmp_path, way)
    (tmp_path / MARK).rename(tmp_path / "aside")
    assert whole(made(tmp_path, way, "credential", store))


@pytest.mark.parametrize("name", ["", "Exchange", "a b", "../x", "x" * 41, "1st"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path):
    """Names are plain words."""
    with pytest.raises(BadData):
        made(tmp_path, ways(tmp_path)).put(name, {"token": TOKEN})


def test_a_secret_too_short_to_conceal_is_refused(tmp_path: Path):
    """What cannot be kept out of the logs is no secret."""
    with pytest.raises(BadData, match="characters"):
        made(tmp_path, ways(tmp_path)).put("telegram", {"token": Secret("abc")})


names = st.text(string.ascii_lowercase, min_size=1, max_size=12)
texts = st.text(st.characters(codec="utf-8"), min_size=4, max_size=200)
contents = st.dictionaries(names, st.dictionaries(names, texts, min_size=1, max_size=3), max_size=3)


@settings(max_examples=25)
@given(contents)
def test_any_names_and_texts_survive_closing_turning_and_opening(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict
):
    """Whatever script a secret is written in."""
    home = tmp_path_factory.mktemp("vault")
    way = ways(home)
    vault = create_vault(home, way.unlock, "credential", "file")
    secret = {name: {field: Secret(text) for field, text in fields.items()} for name, fields in wanted.items()}
    vault.put_all(secret)
    vault.rotate("keyring")
    again = open_vault(home, way.unlock)
    assert documents.all_opened(again._document, again._kek) == secret


@pytest.mark.parametrize(("old", "new"), list(itertools.product(KINDS, KINDS)))
def test_a_new_key_opens_everything_and_the_old_nothing(old: KekKind, new: KekKind, tmp_path: Path):
    """Between every two sources, or from one key to the next of the same source."""
    way = ways(tmp_path)
    vault = made(tmp_path, way, old)
    before = (tmp_path / SEALED).read_bytes()
    way.credential("b2", NEXT_CREDENTIAL)
    vault.rotate(new, NEW_PASSPHRASE, CHEAP)
    assert whole(vault)
    way.typed = NEW_PASSPHRASE
    assert whole(open_vault(tmp_path, way.unlock))
    assert len(way.backend.keks()) == (new == "keyring")
    way.typed = PASSPHRASE
    (tmp_path / SEALED).write_bytes(before)
    assert refused(tmp_path, way)


def test_a_new_credential_that_is_missing_is_asked_for(tmp_path: Path):
    """Turning to the key in use would change nothing."""
    vault = made(tmp_path, ways(tmp_path))
    with pytest.raises(NeedsOwner, match=NEXT_CREDENTIAL):
        vault.rotate("credential")


def cut(monkeypatch: pytest.MonkeyPatch, at: int, after: bool) -> None:
    """Let the power fail at the ``at``-th write from now on, before it or after it."""
    seen = 0

    def cutting(write: Callable[..., None]) -> Callable[..., None]:
        def written(*args: object) -> None:
            nonlocal seen
            seen += 1
            if seen == at and not after:
                raise Cut
            write(*args)
            if seen == at:
                raise Cut

        return written

    monkeypatch.setattr(private_file, "write", cutting(private_file.write))
    for name in ("put", "forget"):
        monkeypatch.setattr(Keyring, name, cutting(getattr(Keyring, name)))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("old", "new"), list(itertools.product(KINDS, KINDS)))
def test_a_change_of_keys_cut_at_any_write_leaves_a_vault_that_opens(
    store: StoreKind, old: KekKind, new: KekKind, at: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the old key or the new one, and nothing is left over after the next opening but one key."""
    way = ways(tmp_path)
    vault = made(tmp_path, way, old, store)
    way.credential("b2", NEXT_CREDENTIAL)
    with monkeypatch.context() as power, contextlib.suppress(Cut):
        cut(power, at, after)
        vault.rotate(new, NEW_PASSPHRASE, CHEAP)
    opened = []
    for way.typed in (PASSPHRASE, NEW_PASSPHRASE):
        with contextlib.suppress(NeedsOwner):
            opened += [open_vault(tmp_path, way.unlock)]
    assert opened
    assert all(whole(one) for one in opened)
    assert len(marked(tmp_path).entries) == 1
    spare = new == "keyring" and (at, after) in {(1, True), (2, False)}  # made, and not yet written down anywhere
    assert len(way.backend.keks()) == (opened[-1].kek == "keyring") + spare


def test_a_store_that_does_not_keep_what_it_is_given_gets_the_old_vault_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What cannot be opened again after a change of keys never replaces what could."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    write, spoilt = private_file.write, []

    def spoiling(path: Path, data: bytes) -> None:
        spoil = path.name == SEALED and not spoilt
        spoilt.extend([path] * spoil)
        write(path, data[:-9] + b"00000000\n" if spoil else data)

    monkeypatch.setattr(private_file, "write", spoiling)
    with pytest.raises(FirstmateError):
        vault.rotate("passphrase", NEW_PASSPHRASE, CHEAP)
    assert spoilt
    assert whole(open_vault(tmp_path, way.unlock))


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_a_beginning_cut_short_can_be_begun_again(
    at: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A power cut while the first vault is made costs nothing but a second try."""
    way = ways(tmp_path)
    with monkeypatch.context() as power:
        cut(power, at, after)
        with pytest.raises(Cut):
            create_vault(tmp_path, way.unlock, "credential", "file")
    if exists(tmp_path):
        open_vault(tmp_path, way.unlock).put("telegram", {"token": TOKEN})
    else:
        made(tmp_path, way)
    assert open_vault(tmp_path, way.unlock).reveal("telegram", "token") == TOKEN
