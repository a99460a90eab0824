"""Which keyrings are trusted, and for how long one is waited for."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import keyring.backends.fail
import keyring.backends.null
import pytest

from core.adapters.vault.keyrings import KNOWN_GOOD, Keyring, NoKeyring, class_of, require_good
from core.domain.errors import NeedsOwner
from tests.adapters.vault.rig import KeyringInMemory, made, ways
from tests.e2e.program import ROOT


def of_class(name: str, *members: object) -> object:
    """A backend whose class has this full name."""
    module, _, qualname = name.rpartition(".")
    return type(qualname, (), {"__module__": module, "backends": list(members)})()


GOOD = of_class("keyring.backends.SecretService.Keyring")
PLAIN = of_class("keyrings.alt.file.PlaintextKeyring")
CHAIN = "keyring.backends.chainer.ChainerBackend"


@pytest.mark.parametrize("name", sorted(KNOWN_GOOD))
def test_a_keyring_of_an_operating_system_is_accepted(name: str):
    """Secret Service, KWallet, Keychain and Windows protect what they are given."""
    backend = of_class(name)
    assert require_good(backend) is backend


@pytest.mark.parametrize(
    "backend",
    [
        PLAIN,
        of_class("keyrings.alt.file.EncryptedKeyring"),
        of_class("somebody.elses.Keyring"),
        keyring.backends.null.Keyring(),
        KeyringInMemory(),
    ],
)
def test_any_other_backend_is_refused_by_the_name_of_its_class(backend: object):
    """A file in clear, or nothing at all, is no keyring; the line says which it is and what to do."""
    with pytest.raises(NeedsOwner, match="does not protect keys") as refused:
        require_good(backend)
    assert class_of(backend) in refused.value.user_text
    assert "--kek passphrase" in refused.value.user_text


@pytest.mark.parametrize("members", [(GOOD, PLAIN), (PLAIN, GOOD), (keyring.backends.fail.Keyring(),), ()])
def test_a_chain_with_one_bad_member_is_refused(members: tuple[object, ...]):
    """When the good one is locked, a chain writes to the next."""
    with pytest.raises(NeedsOwner, match="does not protect keys"):
        require_good(of_class(CHAIN, *members))


def test_of_a_chain_of_good_ones_the_first_is_used_alone():
    """Nothing falls through to another."""
    assert require_good(of_class(CHAIN, GOOD, of_class("keyring.backends.libsecret.Keyring"))) is GOOD


def test_a_session_without_a_keyring_is_told_apart():
    """There a passphrase is the way, and nobody did anything wrong."""
    with pytest.raises(NoKeyring, match="no keyring"):
        require_good(keyring.backends.fail.Keyring())


class Silent(KeyringInMemory):
    """A locked keyring whose dialog nobody answers."""

    def __init__(self, answered: threading.Event) -> None:
        super().__init__()
        self.answered = answered

    def get_password(self, service: str, username: str) -> str | None:
        """Wait for somebody."""
        self.answered.wait(60)
        return None


def test_a_keyring_that_never_answers_is_given_up():
    """A start does not hang on a dialog on a screen nobody sees."""
    answered = threading.Event()
    with pytest.raises(NeedsOwner, match="did not answer"):
        Keyring(Silent(answered), 0.05).get("anything")
    answered.set()


class Broken(KeyringInMemory):
    """A keyring that fails with a secret in its words."""

    def get_password(self, service: str, username: str) -> str | None:
        """Fail."""
        raise RuntimeError("FAKE-SECRET-for-tests")


def test_what_a_failing_keyring_says_is_not_repeated():
    """It may quote what it was given; the kind of the error is enough."""
    with pytest.raises(NeedsOwner, match="RuntimeError") as refused:
        Keyring(Broken(), 5.0).get("anything")
    assert "FAKE-SECRET" not in refused.value.user_text


class Forgetful(KeyringInMemory):
    """A keyring that takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Do nothing."""


def test_a_keyring_that_keeps_nothing_is_found_out():
    """What was given is read again before it counts as kept."""
    with pytest.raises(NeedsOwner, match="did not keep"):
        Keyring(Forgetful(), 5.0).put("anything", "a text")


def test_forgetting_what_is_not_there_is_no_error():
    """A change of keys that was cut can be finished twice."""
    backend = KeyringInMemory()
    ring = Keyring(backend, 5.0)
    ring.put("one", "a text")
    ring.forget("one")
    ring.forget("one")
    assert not backend.kept


def test_a_service_with_a_credential_never_loads_the_keyring_library(tmp_path: Path):
    """It costs 24 MB, and asks a bus that a service does not have."""
    way = ways(tmp_path)
    made(tmp_path, way)
    code = (
        "import sys; from pathlib import Path; from core.adapters.vault import open_vault, unlock_here\n"
        "open_vault(Path(sys.argv[1]), unlock_here()).reveal('telegram', 'token')\n"
        "print(sorted({'keyring', 'ccxt', 'aiogram', 'numpy'} & set(sys.modules)))"
    )
    env = {"CREDENTIALS_DIRECTORY": str(way.folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
