"""The vault on the keyrings and credentials of real systems, and beside those that protect nothing.

Each test drives `firstmate keys` as a process of its own, in a session made for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.program import ROOT, clean_env

WAIT_S = 90
KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
LOGIN, WRONG = "FAKE login password", "FAKE wrong password"
FIRSTMATE = f"{sys.executable} -m bot"
SET = f"printf '%s\\n' {KEY} {SECRET} | {FIRSTMATE} keys set exchange-live --fd 0"


def env_of(folder: Path, **more: str) -> dict[str, str]:
    """A session of its own: no bus, no keyring settings, no credentials but those given."""
    kept = clean_env(folder, home=str(folder / "state"))
    for name in ("DBUS_SESSION_BUS_ADDRESS", "CREDENTIALS_DIRECTORY", "DISPLAY", "WAYLAND_DISPLAY"):
        kept.pop(name, None)
    return {**kept, "XDG_RUNTIME_DIR": str(folder), **more}


def shell(folder: Path, script: str, *around: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A script, run to its end in a session of its own."""
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*around, "bash", "-c", script],
        cwd=folder,
        env=env_of(folder, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def with_plaintext(folder: Path) -> dict[str, str]:
    """The well-known plaintext backend, put where Python finds it as it finds the real one."""
    site = folder / "site"
    module = site / "keyrings" / "alt"
    module.mkdir(parents=True)
    (module / "file.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class PlaintextKeyring(KeyringBackend):\n"
        "    priority = 0.5\n"
        "    def get_password(self, service, username): return None\n"
        "    def set_password(self, service, username, password): open('leaked', 'a').write(password)\n"
    )
    meta = site / "keyrings.alt-0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: keyrings.alt\nVersion: 0\n")
    (meta / "entry_points.txt").write_text("[keyring.backends]\nfile = keyrings.alt.file\n")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}


def refused(done: subprocess.CompletedProcess[str], words: str) -> bool:
    """Whether a command ended with exit 2 and one line with these words and without a secret."""
    said = [line for line in done.stderr.splitlines() if line.startswith("firstmate")]
    clean = SECRET not in done.stderr + done.stdout and "Traceback" not in done.stderr
    return done.returncode == 2 and len(said) == 1 and words in said[0] and clean


def test_a_plaintext_backend_that_was_installed_is_refused(tmp_path: Path) -> None:
    """Installing a package must not turn the vault into a text file; nothing is written anywhere."""
    done = shell(tmp_path, SET, **with_plaintext(tmp_path))
    assert refused(done, "keyrings.alt.file.PlaintextKeyring does not protect keys")
    assert not (tmp_path / "leaked").exists()
    assert not (tmp_path / "state" / "vault.sealed").exists()


@pytest.mark.parametrize("way", ["keyring", "credential", "passphrase"])
def test_a_vault_that_needs_no_keyring_does_not_mind_it(way: str, tmp_path: Path) -> None:
    """With a credential or a passphrase the records lie in the file, and the bad backend is given nothing."""
    more = with_plaintext(tmp_path)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "firstmate-vault-key").write_text("a1" * 32)
    (credentials / "firstmate-vault-key").chmod(0o400)
    more["CREDENTIALS_DIRECTORY"] = str(credentials)
    done = shell(tmp_path, f"{SET} --kek {way} --passphrase-fd 3 3<<<'FAKE passphrase for tests'", **more)
    assert refused(done, "does not protect keys") if way == "keyring" else done.returncode == 0
    assert (tmp_path / "state" / "vault.sealed").exists() is (way != "keyring")
    assert not (tmp_path / "leaked").exists()


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("keyring.backends.null.Keyring", "keyring.backends.null.Keyring does not protect keys"),
        ("keyring.backends.fail.Keyring", "There is no keyring in this session"),
    ],
)
def test_a_backend_that_keeps_nothing_is_refused(backend: str, words: str, tmp_path: Path) -> None:
    """A key it swallowed would be lost with the first restart."""
    assert refused(shell(tmp_path, f"{SET} --kek keyring", PYTHON_KEYRING_BACKEND=backend), words)


def unlocked(password: str) -> str:
    """The line that unlocks a session's keyring, or makes one."""
    return f"printf '%s' '{password}' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"


needs_gnome = pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")),
    reason="gnome-keyring or dbus-run-session is not installed",
)


@needs_gnome
def test_the_headless_recipe_keeps_key_and_records_in_gnome_keyring(tmp_path: Path) -> None:
    """On a server without a screen: set in one session, turned and checked in the next; no secret on the disk."""
    first = shell(tmp_path, f"{unlocked(LOGIN)}; {SET}", "dbus-run-session", "--")
    assert first.returncode == 0, first.stderr
    assert "The vault lies in the keyring; its key comes from the keyring." in first.stdout
    script = f"{unlocked(LOGIN)}; {FIRSTMATE} keys rotate && {FIRSTMATE} keys check"
    second = shell(tmp_path, script, "dbus-run-session", "--")
    assert second.returncode == 0, second.stderr
    assert "exchange-live secret: opens, hmac" in second.stdout
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in on_disk
    assert not (tmp_path / "state" / "vault.sealed").exists()


@needs_gnome
def test_a_locked_keyring_is_said_to_be_locked(tmp_path: Path) -> None:
    """A wrong password, or a session not unlocked, ends in one line; no dialog is waited for without end."""
    assert shell(tmp_path, f"{unlocked(LOGIN)}; {SET}", "dbus-run-session", "--").returncode == 0
    done = shell(tmp_path, f"{unlocked(WRONG)}; {FIRSTMATE} keys check", "dbus-run-session", "--")
    assert refused(done, "unlock it")


@needs_gnome
def test_without_its_session_the_vault_in_the_keyring_is_out_of_reach(tmp_path: Path) -> None:
    """A start outside the session is told so; nothing is made anew over the keys."""
    assert shell(tmp_path, f"{unlocked(LOGIN)}; {SET}", "dbus-run-session", "--").returncode == 0
    assert refused(shell(tmp_path, f"{FIRSTMATE} keys check"), "There is no keyring in this session")
    assert refused(shell(tmp_path, SET), "There is no keyring in this session")


def encrypted(folder: Path) -> str:
    """Why systemd-creds cannot be used here; empty where it made ``folder``/sealed out of a random key."""
    if not shutil.which("systemd-creds"):
        return "systemd-creds is not installed"
    key = folder / "key"
    key.write_bytes(os.urandom(32))
    made = subprocess.run(
        ["systemd-creds", "encrypt", "--name=firstmate-vault-key", "--with-key=host", str(key), str(folder / "sealed")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    key.unlink()
    return "" if made.returncode == 0 else f"systemd-creds cannot encrypt here: {made.stderr.strip()[:200]}"


def test_a_key_sealed_by_systemd_creds_opens_the_vault(tmp_path: Path) -> None:
    """What LoadCredentialEncrypted= hands to the service, byte for byte, is the vault's key."""
    why_not = encrypted(tmp_path)
    if why_not:
        pytest.skip(why_not)
    script = (
        'umask 077; mkdir handed; export CREDENTIALS_DIRECTORY="$PWD/handed";'
        " systemd-creds decrypt --name=firstmate-vault-key sealed handed/firstmate-vault-key"
        f" && {SET} && {FIRSTMATE} keys check && rm -r handed && {FIRSTMATE} keys check"
    )
    done = shell(tmp_path, script)
    assert "its key comes from the credential" in done.stdout
    assert "All 2 secrets open" in done.stdout
    assert refused(done, "LoadCredentialEncrypted=firstmate-vault-key")
