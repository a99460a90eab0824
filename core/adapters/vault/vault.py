"""The vault: secrets in envelopes, opened by one key, changed as a whole.

Rule 1: a change is one new document; a cut at any moment leaves the vault as it was before or after it.
Rule 2: a change of keys seals everything anew, opens all of it again from where it was written, and only then lets the
        old key go.
Rule 3: whoever changes holds the lock and has seen the latest version; two at once cannot lose a key.
Rule 4: a vault that is gone is never begun anew unasked: a backup of it still opens beside its mark, and no other.
Rule 5: a secret that leaves this file is concealed from the logs first.
What lies in memory while a vault is open (its key, secrets shown) is safe from nobody who can read this process.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.adapters.redaction import SHORTEST_SECRET
from core.adapters.statelock import prepare
from core.adapters.vault import document as documents
from core.adapters.vault import mark as marks
from core.adapters.vault import unlocking
from core.adapters.vault.document import Document, Header, Plain, Tampered
from core.adapters.vault.envelope import FORMAT
from core.adapters.vault.kek import Kek, KekKind, kind_of
from core.adapters.vault.mark import Closed, Mark
from core.adapters.vault.passphrase import Cost
from core.adapters.vault.secret_kinds import concealed
from core.adapters.vault.stores import FILE_NAME, FileStore, KeyringStore, Store, StoreKind
from core.adapters.vault.unlocking import Unlock
from core.domain.errors import BadData, FirstmateError, NeedsOwner, RetryLater, StoreUnusable
from core.setting_kinds import Secret

LOCK_NAME = "vault.lock"


@dataclass(frozen=True, slots=True)
class Listed:
    """What may be shown of a record."""

    record: str
    fields: tuple[str, ...]
    version: int
    at: datetime


class Vault:
    """An open vault. Not for two threads at once."""

    def __init__(self, home: Path, store: Store, unlock: Unlock, document: Document, kek: Kek) -> None:
        self._home = home
        self._store = store
        self._unlock = unlock
        self._document = document
        self._kek = kek

    @property
    def store(self) -> StoreKind:
        """Where the sealed records lie."""
        return self._store.kind

    @property
    def kek(self) -> KekKind:
        """Where the key comes from."""
        return kind_of(self._document.header.source)

    def records(self) -> tuple[Listed, ...]:
        """What is kept, by name."""
        kept = sorted(self._document.records.items())
        return tuple(Listed(name, tuple(sorted(one.fields)), one.version, one.at) for name, one in kept)

    def reveal(self, record: str, field: str) -> Secret | None:
        """A secret, concealed from the logs from now on; None where there is none. Raises Tampered."""
        secret = documents.opened(self._document, record, field, self._kek)
        return None if secret is None else concealed(secret)

    def put(self, record: str, fields: Mapping[str, Secret]) -> None:
        """Keep ``fields`` as the whole of ``record``, durable before this returns."""
        self.put_all({record: fields})

    def put_all(self, records: Plain) -> None:
        """Keep each record as the whole of its name, all or none. Raises BadData, RetryLater or StoreUnusable."""
        for record, fields in records.items():
            _require_fit(record, fields)
        old, version, now = self._document, self._document.version + 1, datetime.now(UTC)
        new = {
            name: documents.kept(old.header, name, fields, version, now, self._kek) for name, fields in records.items()
        }
        self._change({**old.records, **new})

    def remove(self, record: str) -> bool:
        """Forget a record; whether there was one."""
        if record not in self._document.records:
            return False
        self._change({name: one for name, one in self._document.records.items() if name != record})
        return True

    def check(self) -> int:
        """How many secrets there are, after opening every one. Raises Tampered."""
        plain = documents.all_opened(self._document, self._kek)
        return sum(len(fields) for fields in plain.values())

    def rotate(self, kind: KekKind, passphrase: Secret | None = None, cost: Cost | None = None) -> None:
        """Close the vault with a new key and let the old one go. Raises NeedsOwner, RetryLater or StoreUnusable."""
        with _changing(self._home):
            self._require_latest()
            old, old_kek = self._document, self._kek
            install = old.header.install
            source, kek = unlocking.fresh(kind, install, self._unlock, passphrase, cost, old.header.key_id)
            header = Header(FORMAT, install, kek.key_id(install), source)
            new = documents.resealed(old, header, old.version + 1, old_kek, kek)
            self._mark(Closed(old.header, old.version, old_kek), Closed(header, new.version, kek))
            self._store.write(documents.written(new, kek))
            self._require_same(new, kek)
            self._document, self._kek = new, kek
            unlocking.forget(kind_of(old.header.source), install, old.header.key_id, self._unlock)
            self._mark(Closed(header, new.version, kek))  # last: what names both keys is unfinished

    def exported(self, passphrase: Secret, cost: Cost | None = None) -> bytes:
        """Everything sealed under ``passphrase``, a vault of its own that another machine can take in."""
        install = secrets.token_hex(16)
        source, kek = unlocking.fresh("passphrase", install, self._unlock, passphrase, cost)
        header = Header(FORMAT, install, kek.key_id(install), source)
        return documents.written(documents.resealed(self._document, header, 1, self._kek, kek), kek)

    def settle(self, mark: Mark | None) -> None:
        """Finish what a cut left half done, as a proven mark tells: forget keys that close nothing."""
        header = self._document.header
        now = marks.mark_of(self.store, Closed(header, self._document.version, self._kek))
        if mark is None or mark == now:
            return
        with suppress(FirstmateError), _changing(self._home):  # nothing is lost by doing this at a later opening
            self._require_latest()
            for entry in mark.entries:
                if entry.key_id != header.key_id:
                    unlocking.forget(entry.kind, header.install, entry.key_id, self._unlock)
            marks.write(self._home, now)

    def _change(self, records: dict[str, documents.Kept]) -> None:
        with _changing(self._home):
            self._require_latest()
            new = Document(self._document.header, self._document.version + 1, records)
            data = documents.written(new, self._kek)
            documents.all_opened(new, self._kek)
            self._store.write(data)
            self._document = new
            self._mark(Closed(new.header, new.version, self._kek))

    def _mark(self, *closed: Closed) -> None:
        marks.write(self._home, marks.mark_of(self.store, *closed))

    def _require_latest(self) -> None:
        data = self._store.read()
        if data is not None:
            documents.require_proof(data, self._kek)
        if data is None or documents.parsed(data).version != self._document.version:
            raise RetryLater("The vault was changed by another command meanwhile: try again.")

    def _require_same(self, new: Document, kek: Kek) -> None:
        """Open what was written, all of it, and compare. Raises Tampered; the old document is then put back."""
        try:
            data = self._store.read() or b""
            documents.require_proof(data, kek)
            if documents.all_opened(documents.parsed(data), kek) != documents.all_opened(self._document, self._kek):
                raise Tampered("what was written does not open again")
        except FirstmateError:
            self._store.write(documents.written(self._document, self._kek))
            raise


def exists(home: Path) -> bool:
    """Whether something was sealed for this state folder, be it gone now; looks there alone. Raises StoreUnusable."""
    mark = marks.read(home)
    return (home / FILE_NAME).exists() or (mark is not None and marks.held_something(mark))


def open_vault(home: Path, unlock: Unlock) -> Vault:
    """The vault of this state folder; takes up to a second, or as long as somebody types.

    Raises NeedsOwner where there is none or it stays locked, Tampered where it is not as it was closed.
    """
    mark = marks.read(home)
    store = _store(home, mark, unlock)
    data = store.read()
    if data is None:
        raise _missing(home, mark)
    vault = _proven(home, store, unlock, data, mark)
    vault.settle(mark)
    return vault


def create_vault(
    home: Path,
    unlock: Unlock,
    kek: KekKind,
    store: StoreKind,
    passphrase: Secret | None = None,
    cost: Cost | None = None,
) -> Vault:
    """A new, empty vault. Raises NeedsOwner where there is one, or was one, or the key is not to be had."""
    prepare(home)
    with _changing(home):
        mark = marks.read(home)
        if _store(home, mark, unlock).read() is not None:
            raise NeedsOwner("There is a vault already: open it.")
        if mark is not None and marks.held_something(mark):
            raise _missing(home, mark)
        install = secrets.token_hex(16)
        source, key = unlocking.fresh(kek, install, unlock, passphrase, cost)
        header = Header(FORMAT, install, key.key_id(install), source)
        place = KeyringStore(install, unlock.keyring) if store == "keyring" else FileStore(home)
        marks.write(home, marks.mark_of(store, Closed(header, 0, key)))
        document = Document(header, 0, {})
        place.write(documents.written(document, key))
    return Vault(home, place, unlock, document, key)


def _store(home: Path, mark: Mark | None, unlock: Unlock) -> Store:
    if mark is not None and mark.store == "keyring":
        return KeyringStore(mark.install, unlock.keyring)
    return FileStore(home)


def _missing(home: Path, mark: Mark | None) -> NeedsOwner:
    if mark is None:
        return NeedsOwner(f"There is no vault in {home}: make one with `./run keys set RECORD`.")
    if not marks.held_something(mark):
        return NeedsOwner(f"The vault in {home} was never finished: `./run keys set RECORD` begins it again.")
    anew = f"or move {home / marks.FILE_NAME} away to begin a new one without what it held"
    if mark.store == "file":
        return NeedsOwner(f"The vault in {home} is gone: put {FILE_NAME} back from a backup, {anew}.")
    return NeedsOwner(f"This session's keyring does not hold the vault: go where it was set, {anew}.")


def _proven(home: Path, store: Store, unlock: Unlock, data: bytes, mark: Mark | None) -> Vault:
    document = documents.parsed(data)
    header = document.header
    if mark is None:
        raise Tampered(f"{marks.FILE_NAME} is missing")
    kek = unlocking.found(header.source, header.install, header.key_id, unlock)
    documents.require_proof(data, kek)
    if document.version < marks.proven(mark, header, kek):
        raise Tampered("it is older than the one closed last")
    return Vault(home, store, unlock, document, kek)


@contextmanager
def _changing(home: Path) -> Iterator[None]:
    """Nobody else changes the vault within the block. Raises RetryLater or StoreUnusable."""
    try:
        handle = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreUnusable(f"{home / LOCK_NAME} cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RetryLater("Another command is changing the vault: try again.") from None
    finally:
        os.close(handle)


def _require_fit(record: str, fields: Mapping[str, Secret]) -> None:
    if not all(re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name) for name in (record, *fields)) or not fields:
        raise BadData("A record and its fields are named by small letters, digits and hyphens.")
    short = [field for field, secret in fields.items() if len(secret.reveal()) < SHORTEST_SECRET]
    if short:
        raise BadData(f"The {short[0]} of {record} has fewer than {SHORTEST_SECRET} characters: enter all of it.")
