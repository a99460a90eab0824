"""The keyring of the operating system, if it is one that protects what it is given.

Rule 1: a backend is accepted by the name of its class, out of a short list; whatever else ``keyring`` found (a
        plaintext file, null, fail, a chain with such a member) is refused: it keeps a key in clear or not at all.
Rule 2: every call waits a bounded time: a locked keyring asks its user, and nobody may be there.
Rule 3: ``keyring`` (24 MB) is imported when it is first asked for, not before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from core.domain.errors import NeedsOwner

T = TypeVar("T")

SERVICE = "firstmate"
PATIENCE_S = 30.0  # a person has to see the dialog and type a password
KNOWN_GOOD = frozenset(
    {
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.macOS.Keyring",
        "keyring.backends.Windows.WinVaultKeyring",
    }
)
FAIL = "keyring.backends.fail.Keyring"
CHAINER = "keyring.backends.chainer.ChainerBackend"
INSTEAD = "a new vault can do without (`./run keys set RECORD --kek passphrase --store file`)"


class NoKeyring(NeedsOwner):
    """This machine, or this session of it, has no keyring."""


class Backend(Protocol):
    """What is used of a backend of ``keyring``."""

    def get_password(self, service: str, username: str) -> str | None:
        """The text kept under a name."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a text under a name."""

    def delete_password(self, service: str, username: str) -> None:
        """Forget what is kept under a name."""


class Keyring:
    """Named texts in one backend, each call within ``patience_s`` seconds."""

    def __init__(self, backend: Backend, patience_s: float = PATIENCE_S) -> None:
        self._backend = backend
        self._patience_s = patience_s

    @property
    def name(self) -> str:
        """The backend's class."""
        return class_of(self._backend)

    def get(self, item: str) -> str | None:
        """What is kept under ``item``. Raises NeedsOwner when the keyring is locked, silent or gone."""
        return self._ask(lambda: self._backend.get_password(SERVICE, item))

    def put(self, item: str, text: str) -> None:
        """Keep ``text``, proven by reading it again. Raises NeedsOwner."""
        self._ask(lambda: self._backend.set_password(SERVICE, item, text))
        if self.get(item) != text:
            raise NeedsOwner(f"The keyring {self.name} did not keep what it was given: choose another by `--kek`.")

    def forget(self, item: str) -> None:
        """Keep nothing under ``item`` any more. Raises NeedsOwner."""
        if self.get(item) is not None:
            self._ask(lambda: self._backend.delete_password(SERVICE, item))

    def _ask(self, work: Callable[[], T]) -> T:
        return within(self._patience_s, work)


def known_good(patience_s: float = PATIENCE_S) -> Keyring:
    """The keyring of this session. Raises NoKeyring where there is none, NeedsOwner where it must not be used."""
    return Keyring(require_good(within(patience_s, _chosen)), patience_s)


def require_good(backend: Any) -> Any:
    """``backend``, or the first of a chain in which all are known to be good. Raises NoKeyring or NeedsOwner."""
    name = class_of(backend)
    if name == FAIL:
        raise NoKeyring(f"There is no keyring in this session: start one; {INSTEAD}.")
    members = list(backend.backends) if name == CHAINER else [backend]
    bad = [class_of(member) for member in members if class_of(member) not in KNOWN_GOOD]
    if bad or not members:
        raise NeedsOwner(f"The keyring backend {(bad or [name])[0]} does not protect keys: uninstall it; {INSTEAD}.")
    return members[0]


def class_of(backend: object) -> str:
    """Full name of the class of ``backend``."""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def within(patience_s: float, work: Callable[[], T]) -> T:
    """What ``work`` returns. Raises NeedsOwner when it fails or takes longer than ``patience_s`` seconds."""
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(patience_s)
    if done:
        return done[0]
    if failed:
        raise NeedsOwner(f"The keyring cannot be used ({type(failed[0]).__name__}): unlock it; {INSTEAD}.")
    raise NeedsOwner(f"The keyring did not answer within {patience_s:g} s: unlock it; {INSTEAD}.")


def _chosen() -> object:
    import keyring

    return keyring.get_keyring()
