"""`firstmate keys`, as it is typed: what it asks for, what it says, and that it never says a secret."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import keyring.backends.fail
import keyring.backends.null
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from bot.cli import main
from bot.commands import keys as command
from bot.grammar import KEKS, RECORDS
from core.adapters import audit
from core.adapters import vault as vaults
from core.adapters.audit import What
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.migrate import migrate
from core.adapters.statelock import hold, prepare
from core.adapters.vault import Unlock, kek, open_vault, passphrase, unlock_here, unlocking
from core.domain.errors import StoreUnusable
from core.setting_kinds import Secret
from tests.adapters.vault.rig import CHEAP
from tests.e2e.program import clean_env
from tests.e2e.terminal import terminal

KEY, SECRET, TOKEN = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests", "1:FAKE-TOKEN-for-tests"
PASSPHRASE, OTHER = "FAKE passphrase for tests", "FAKE other passphrase"
PEM = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder, a credential, and passphrases that cost nothing."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / unlocking.CREDENTIAL).write_text("a1" * 32)
    (folder / unlocking.CREDENTIAL).chmod(0o400)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.backends.fail.Keyring())
    monkeypatch.setattr(command, "unlock_here", lambda passphrase: replace(unlock_here(passphrase), floor=CHEAP))
    monkeypatch.setattr(passphrase, "affordable", lambda free_kib: CHEAP)
    return tmp_path / "home"


def typed(*lines: str) -> str:
    """A file descriptor from which these lines can be read."""
    ours, theirs = os.pipe()
    os.write(theirs, "".join(f"{line}\n" for line in lines).encode())
    os.close(theirs)
    return str(ours)


def bare_env(folder: Path) -> dict[str, str]:
    """An environment with neither keyring nor credential."""
    env = clean_env(folder, home=str(folder / "home"))
    env.pop("CREDENTIALS_DIRECTORY", None)
    return {**env, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def keys(home: Path, *words: str) -> int:
    """One command; its exit code."""
    try:
        return main(["keys", *words, "--state", str(home)])
    except SystemExit as left:
        return int(str(left.code))


def set_live(home: Path, *options: str) -> int:
    """Set the exchange's key."""
    return keys(home, "set", "exchange-live", "--fd", typed(KEY, SECRET), *options)


def test_a_record_that_was_set_opens_and_is_listed(home: Path, capsys: pytest.CaptureFixture[str]):
    """By the credential of the service, which is chosen where it is there; nothing secret is said."""
    assert set_live(home) == 0
    assert keys(home, "list") == keys(home, "check") == 0
    said = "".join(capsys.readouterr())
    assert "exchange-live: key, secret, set 20" in said
    assert "exchange-live secret: opens, hmac" in said
    assert "its key comes from the credential" in said
    assert KEY not in said
    assert SECRET not in said


def test_an_ed25519_key_is_read_from_its_first_line_to_its_last(home: Path, capsys: pytest.CaptureFixture[str]):
    """Several lines are one field."""
    assert keys(home, "set", "exchange-testnet", "--fd", typed(KEY, *PEM.splitlines())) == 0
    assert keys(home, "check") == 0
    assert "exchange-testnet secret: opens, ed25519" in capsys.readouterr().out
    assert open_vault(home, unlock_here()).reveal("exchange-testnet", "secret") == Secret(PEM.strip())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((KEY,), "no more lines"),
        ((KEY, "x y z w"), "no secret"),
        (("k", SECRET), "exchange-live key: nothing"),
        ((KEY, "-----BEGIN PRIVATE KEY-----", "FAKE"), "no more lines"),
        ((KEY, "-----BEGIN RSA PRIVATE KEY-----", "RkFLRQ==", "-----END RSA PRIVATE KEY-----"), "RSA"),
        ((KEY, "F" * 20_000), "too long"),
    ],
)
def test_what_is_no_key_changes_nothing(
    lines: tuple[str, ...], said: str, home: Path, capsys: pytest.CaptureFixture[str]
):
    """One line, exit 2, no vault half made, and not a word of what was given."""
    assert keys(home, "set", "exchange-live", "--fd", typed(*lines)) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not any(line in shown for line in lines if len(line) > 2)
    assert not (home / "vault.sealed").exists()


def test_a_descriptor_that_is_not_there_is_named(home: Path, capsys: pytest.CaptureFixture[str]):
    """Exit 2 with its number."""
    assert keys(home, "set", "exchange-live", "--fd", "987") == 2
    assert "File descriptor 987 cannot be read" in capsys.readouterr().err


def test_without_a_terminal_the_way_is_named(home: Path, capsys: pytest.CaptureFixture[str]):
    """A script is told of --fd; a secret is never taken from a pipe nobody meant."""
    assert keys(home, "set", "exchange-live") == 2
    assert "--fd N" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        (TOKEN,),
        ("set", TOKEN),
        ("set", "telegram", TOKEN),
        ("set", "telegram", "--token", TOKEN),
        ("set", "telegram", f"--token={TOKEN}"),
        ("set", "telegram", "--fd", TOKEN),
        ("set", "telegram", f"-h{TOKEN}"),
        ("set", "telegram", "--kek", TOKEN),
        ("check", "--passphrase-fd", TOKEN),
        ("telegram", TOKEN),
    ],
)
def test_a_secret_given_as_an_argument_is_not_taken_and_not_shown(
    words: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
):
    """One line with the way to give it, and that the shell remembers the one that was given."""
    assert keys(home, *words) == 2
    said = capsys.readouterr()
    assert not any(part in said.err + said.out for part in (TOKEN, *TOKEN.split(":")[1:]))
    assert "Secrets are never given as arguments" in said.err
    assert "shell's history: replace it" in said.err
    assert said.err.count("\n") == 1
    assert not vaults.exists(home)


def test_a_passphrase_given_as_an_argument_to_another_command_is_not_shown(capsys: pytest.CaptureFixture[str]):
    """Whatever opens the vault takes the number of a descriptor, and repeats nothing else."""
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--passphrase-fd", PASSPHRASE])
    with pytest.raises(SystemExit, match="2"):
        main(["run", f"--telegram-token={TOKEN}"])
    said = capsys.readouterr().err
    assert "--passphrase-fd: it takes the number of a file descriptor" in said
    assert "unknown argument '--telegram-token'" in said
    assert not any(secret in said for secret in (PASSPHRASE, TOKEN))


def test_what_is_missing_on_the_command_line_is_still_named(home: Path, capsys: pytest.CaptureFixture[str]):
    """Only what was typed is kept back, not what was not."""
    assert keys(home, "set") == 2
    assert keys(home, "import-sealed", "nowhere.sealed") == 2
    assert keys(home, "set", "telegram", "--fd") == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert "required: telegram|exchange-live" in first
    assert "there is no file nowhere.sealed" in second
    assert "--fd: expected one argument" in third


def test_a_record_that_is_none_is_not_repeated(home: Path, capsys: pytest.CaptureFixture[str]):
    """It may be a secret in the wrong place."""
    assert set_live(home) == 0
    assert keys(home, "remove", TOKEN) == 2
    shown = capsys.readouterr().err
    assert "./run keys list" in shown
    assert TOKEN not in shown


def test_the_token_of_the_environment_is_not_taken_for_the_vaults(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A secret that is wanted is asked for, whatever else this machine knows."""
    monkeypatch.setenv("FIRSTMATE_TELEGRAM_TOKEN", "1:FAKE-TOKEN-for-tests")
    assert keys(home, "set", "telegram") == 2
    assert "telegram token: there is no terminal" in capsys.readouterr().err


def test_a_passphrase_vault_is_made_turned_and_opened(home: Path, capsys: pytest.CaptureFixture[str]):
    """Each passphrase is one line of the descriptor, in the order it is asked for."""
    assert set_live(home, "--kek", "passphrase", "--passphrase-fd", typed(PASSPHRASE)) == 0
    assert keys(home, "rotate", "--passphrase-fd", typed(PASSPHRASE, OTHER)) == 0
    assert keys(home, "check", "--passphrase-fd", typed(PASSPHRASE)) == 2
    assert keys(home, "check", "--passphrase-fd", typed(OTHER)) == 0
    assert keys(home, "rotate", "--kek", "credential", "--passphrase-fd", typed(OTHER)) == 0
    assert keys(home, "check") == 0
    said = "".join(capsys.readouterr())
    assert "This passphrase does not open the vault" in said
    assert PASSPHRASE not in said
    assert OTHER not in said


def test_a_new_passphrase_that_is_too_short_is_refused_before_a_secret_is_typed(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    """Nobody pastes a key for nothing."""
    assert keys(home, "set", "exchange-live", "--kek", "passphrase", "--passphrase-fd", typed("FAKE-tests")) == 2
    assert "12 characters or more" in capsys.readouterr().err
    assert not vaults.exists(home)


def test_without_keyring_and_credential_a_passphrase_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The safest of what is here is the default."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert set_live(home, "--passphrase-fd", typed(PASSPHRASE)) == 0
    assert "comes from the passphrase" in capsys.readouterr().out


def test_a_keyring_that_protects_nothing_is_not_passed_over_in_silence(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The owner is told, and decides."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.backends.null.Keyring())
    assert set_live(home, "--passphrase-fd", typed(PASSPHRASE)) == 2
    assert "keyring.backends.null.Keyring does not protect keys" in capsys.readouterr().err
    assert set_live(home, "--kek", "passphrase", "--passphrase-fd", typed(PASSPHRASE)) == 0
    assert (home / "vault.sealed").exists()


def test_another_key_than_the_vaults_is_not_silently_ignored(home: Path, capsys: pytest.CaptureFixture[str]):
    """Who asks for another is shown how to change it."""
    assert set_live(home) == 0
    assert set_live(home, "--kek", "passphrase") == 2
    assert "./run keys rotate --kek" in capsys.readouterr().err


def test_a_record_that_is_removed_is_gone(home: Path, capsys: pytest.CaptureFixture[str]):
    """And removing it twice is an error with the way to look."""
    assert set_live(home) == 0
    assert keys(home, "remove", "exchange-live") == 0
    assert keys(home, "remove", "exchange-live") == 2
    assert keys(home, "list") == 0
    said = capsys.readouterr()
    assert "Revoke it" in said.out
    assert "It is empty" in said.out
    assert "./run keys list" in said.err


def test_an_export_is_taken_in_on_another_machine(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Sealed under a passphrase given at the export; taking it in makes a vault where there was none."""
    assert set_live(home) == 0
    file = str(tmp_path / "export")
    assert keys(home, "export-sealed", file, "--passphrase-fd", typed(PASSPHRASE)) == 0
    there = tmp_path / "there"
    assert keys(there, "import-sealed", file, "--passphrase-fd", typed(OTHER)) == 2
    assert not (there / "vault.sealed").exists()
    assert keys(there, "import-sealed", file, "--passphrase-fd", typed(PASSPHRASE)) == 0
    assert keys(there, "check") == 0
    assert SECRET not in "".join(capsys.readouterr()) + (tmp_path / "export").read_text()


def test_an_export_takes_the_place_of_no_other_file(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The older copy may be the only good one; the vault is not at fault, so the exit code is that of a wrong word."""
    file = tmp_path / "keys.sealed"
    file.write_text("FAKE")
    assert set_live(home) == 0
    assert keys(home, "export-sealed", str(file), "--passphrase-fd", typed(OTHER)) == 2
    assert "there already" in capsys.readouterr().err
    assert file.read_text() == "FAKE"


def test_a_vault_somebody_changed_is_an_unusable_store(home: Path, capsys: pytest.CaptureFixture[str]):
    """Exit 4 and one line with the way back."""
    assert set_live(home) == 0
    path = home / "vault.sealed"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2', 1))
    assert keys(home, "check") == 4
    shown = capsys.readouterr().err
    assert "import-sealed" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("words", [("set", "telegram"), ("import-sealed", "export.sealed")])
def test_a_vault_that_was_deleted_is_not_begun_anew_unasked(
    words: tuple[str, ...], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """One line with both ways on, and the mark stays, so that a backup of the vault still opens."""
    assert set_live(home) == 0
    assert keys(home, "export-sealed", "export.sealed", "--passphrase-fd", typed(OTHER)) == 0
    sealed, mark = (home / "vault.sealed").read_bytes(), (home / "vault.mark").read_bytes()
    (home / "vault.sealed").unlink()
    fd = [] if words[0] == "import-sealed" else ["--fd", typed(TOKEN)]
    assert keys(home, *words, *fd, "--passphrase-fd", typed(OTHER)) == 2
    shown = capsys.readouterr().err
    assert "put vault.sealed back from a backup, or move" in shown
    assert shown.count("\n") == 1
    assert ((home / "vault.sealed").exists(), (home / "vault.mark").read_bytes()) == (False, mark)
    (home / "vault.sealed").write_bytes(sealed)
    (home / "vault.sealed").chmod(0o600)
    assert keys(home, "check") == 0


def test_a_check_names_what_is_not_what_it_should_be(home: Path, capsys: pytest.CaptureFixture[str]):
    """A half record, which no command makes, is found before live finds it."""
    assert set_live(home) == 0
    open_vault(home, unlock_here()).put("exchange-live", {"key": Secret("not a key at all")})
    assert keys(home, "check") == 1
    said = capsys.readouterr()
    assert "exchange-live secret: missing" in said.out
    assert "Not well: exchange-live key, exchange-live secret" in said.err


def test_an_assistant_that_runs_is_said_to_hear_of_it_later(home: Path, capsys: pytest.CaptureFixture[str]):
    """Nobody wonders why the old key is still in use."""
    with hold(home):
        assert set_live(home) == 0
    assert f"process {os.getpid()}" in capsys.readouterr().out


def kept_audit(home: Path) -> Path:
    """The main database of mode paper, empty."""
    path = folder_of(home, "paper") / MAIN_FILE
    prepare(path.parent)
    migrate(path, "main")
    return path


def test_what_is_done_with_a_key_is_in_the_audit_and_no_key_is(home: Path, tmp_path: Path):
    """Set, turned, carried away, taken in, removed: each leaves its row in the chain of every mode."""
    path = kept_audit(home)
    set_live(home)
    (tmp_path / "credentials" / unlocking.NEXT_CREDENTIAL).write_text("b2" * 32)
    (tmp_path / "credentials" / unlocking.NEXT_CREDENTIAL).chmod(0o400)
    assert keys(home, "rotate") == 0
    export = tmp_path / "export.sealed"
    assert keys(home, "export-sealed", str(export), "--passphrase-fd", typed(OTHER)) == 0
    assert keys(home, "remove", "exchange-live") == 0
    assert keys(home, "import-sealed", str(export), "--passphrase-fd", typed(OTHER)) == 0
    found = audit.newest(path, 10)
    assert [row[3] for row in found] == ["KEY_SET", "KEY_ROTATED", "KEYS_EXPORTED", "KEY_REMOVED", "KEYS_IMPORTED"]
    assert audit.verify(path).broken_at is None
    assert not any(secret in str(found) for secret in (KEY, SECRET, OTHER))


def test_a_key_that_was_not_turned_is_not_said_to_be(home: Path):
    """A new passphrase that is refused leaves the vault and the audit as they were."""
    assert set_live(home, "--kek", "passphrase", "--passphrase-fd", typed(PASSPHRASE)) == 0
    path = kept_audit(home)
    assert keys(home, "rotate", "--passphrase-fd", typed(PASSPHRASE, "FAKE-tests")) == 2
    assert audit.newest(path, 10) == []


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("import-sealed", "export.sealed"), (OTHER,)),
        (("export-sealed", "export.sealed"), (OTHER,)),
        (("rotate",), ()),
        (("remove", "telegram"), ()),
    ],
)
def test_what_was_refused_is_not_said_to_have_been_done(words: tuple[str, ...], given: tuple[str, ...], home: Path):
    """A record that is there already, a file that is, a new key that is missing: no row tells of a change."""
    assert set_live(home) == 0
    assert keys(home, "export-sealed", "export.sealed", "--passphrase-fd", typed(OTHER)) == 0
    path = kept_audit(home)
    assert keys(home, *words, "--passphrase-fd", typed(*given)) == 2
    assert audit.newest(path, 10) == []


def test_where_no_row_can_be_written_nothing_is_done(home: Path, capsys: pytest.CaptureFixture[str]):
    """A database nobody can write to is told before a key is changed, not after."""
    assert set_live(home) == 0
    path = folder_of(home, "paper") / MAIN_FILE
    prepare(path.parent)
    path.write_bytes(b"FAKE")
    assert keys(home, "remove", "exchange-live") == 4
    assert keys(home, "set", "telegram", "--fd", typed(TOKEN)) == 4
    path.unlink()
    assert [one.record for one in open_vault(home, unlock_here()).records()] == ["exchange-live"]


def test_a_deed_whose_row_was_lost_is_told_as_done(home: Path):
    """The disk that filled up in between is not taken for a change that did not happen."""
    path = kept_audit(home)
    with pytest.raises(StoreUnusable, match="It was done, but"), command._recorded(home, What.KEY_SET, "telegram"):
        path.write_bytes(b"FAKE")


@pytest.mark.parametrize(("right", "code"), [(True, 0), (False, 2)])
def test_an_authenticator_app_is_set_up_by_what_it_shows(tmp_path: Path, right: bool, code: int):
    """The seed is shown once to be scanned, and is kept only when the app's digits prove that it was."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / unlocking.CREDENTIAL).write_text("a1" * 32)
    (folder / unlocking.CREDENTIAL).chmod(0o400)
    home = tmp_path / "home"
    env = {**clean_env(tmp_path, home=str(home)), "CREDENTIALS_DIRECTORY": str(folder)}
    with terminal(tmp_path, env, "keys", "set", "totp") as screen:
        shown = screen.wait_for("The six digits it shows now")
        seed = re.search(r"secret=([A-Z2-7]+)", shown)
        assert seed
        now_s = int(time.time())
        digits = TOTP(base64.b32decode(seed[1]), 6, SHA1(), 30).generate(now_s).decode()
        wrong = [f"{(int(digits) + 1) % 1_000_000:06}x"]
        for answer in [*wrong, digits] if right else 3 * wrong:
            screen.type(answer)
        assert screen.end() == code, screen.shown
    assert "\u2580" in shown  # half blocks: a QR code
    unlock = Unlock(credentials=folder)
    assert vaults.exists(home) is right
    assert not right or open_vault(home, unlock).reveal("totp", "seed") == Secret(seed[1])


def test_help_and_command_line_name_the_same_records_as_the_vault():
    """The command line knows them without loading the vault."""
    assert tuple(vaults.RECORDS) == RECORDS
    assert set(KEKS) == set(kek.KekKind.__args__)


def test_at_a_terminal_nothing_that_is_typed_is_shown(tmp_path: Path):
    """Secrets and passphrases are typed unseen, a new passphrase twice, a key of many lines in one paste."""
    env = bare_env(tmp_path)
    with terminal(tmp_path, env, "keys", "set", "exchange-live") as screen:
        for asked, answer in (
            ("New passphrase of the vault (not shown)", PASSPHRASE),
            ("once more (not shown)", PASSPHRASE),
            ("exchange-live key (not shown)", KEY),
            ("exchange-live secret (not shown)", PEM.strip()),
        ):
            screen.wait_for(asked)
            screen.type(answer)
        assert screen.end() == 0, screen.shown
    assert "exchange-live is sealed" in screen.shown
    assert not any(part in screen.shown for part in (PASSPHRASE, KEY, *PEM.splitlines()))


def test_a_descriptor_that_is_the_terminal_shows_nothing_either(tmp_path: Path):
    """`--fd 0` without a pipe is somebody who types."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "firstmate-vault-key").write_bytes(bytes(range(32)))
    (tmp_path / "credentials" / "firstmate-vault-key").chmod(0o400)
    env = {**clean_env(tmp_path, home=str(tmp_path / "home")), "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    with terminal(tmp_path, env, "keys", "set", "exchange-live", "--fd", "0") as screen:
        for asked, answer in (("exchange-live key (not shown)", KEY), ("exchange-live secret (not shown)", SECRET)):
            screen.wait_for(asked)
            screen.type(answer)
        assert screen.end() == 0, screen.shown
    assert not any(secret in screen.shown for secret in (KEY, SECRET))


def test_a_new_passphrase_typed_differently_the_second_time_makes_nothing(tmp_path: Path):
    """Nobody locks himself out by a slip of a finger."""
    env = bare_env(tmp_path)
    with terminal(tmp_path, env, "keys", "set", "exchange-live") as screen:
        screen.wait_for("New passphrase of the vault (not shown)")
        screen.type(PASSPHRASE)
        screen.wait_for("once more (not shown)")
        screen.type(OTHER)
        assert screen.end() == 2
    assert "The two differ" in screen.shown
    assert not (tmp_path / "home" / "vault.sealed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is read")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process that holds secrets")
def test_while_a_secret_is_typed_it_stands_in_no_argument_and_no_environment(tmp_path: Path):
    """What the system shows of the process to others holds nothing."""
    env = bare_env(tmp_path)
    with terminal(tmp_path, env, "keys", "set", "exchange-live") as screen:
        screen.wait_for("New passphrase of the vault (not shown)")
        screen.type(PASSPHRASE)
        screen.wait_for("once more (not shown)")
        shown = b"".join(Path(f"/proc/{screen.child.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    assert PASSPHRASE.encode() not in shown
