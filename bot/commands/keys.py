"""`firstmate keys`: put secrets into the vault, see which are there, change its key, carry it to another machine.

Rule 1: no secret is ever printed, whole or in part; but a new seed for an authenticator app is, once, to be scanned.
Rule 2: everything is asked for and judged before anything is written.
Rule 3: what was done with a key is in the audit, and nothing else is: where no row could be written nothing is done,
        and what was refused leaves none.
Rule 4: what is asked for: first the passphrase that opens, then a new one, then the secrets, field by field.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bot.hidden_input import ask, ask_twice
from bot.qr import qr
from core.adapters import audit, statelock
from core.adapters.audit import What
from core.adapters.vault import (
    RECORDS,
    KekKind,
    StoreKind,
    Unlock,
    Vault,
    concealed,
    create_vault,
    exists,
    kind_of_secret,
    open_vault,
    unlock_here,
)
from core.adapters.vault.keyrings import NoKeyring
from core.adapters.vault.passphrase import require_long
from core.adapters.vault.portable import export, read_export, take_in
from core.adapters.vault.unlocking import CREDENTIAL
from core.domain.errors import BadData, FirstmateError, NeedsOwner, StoreUnusable
from core.run.stepup import matching_step, new_seed, otpauth_uri
from core.setting_kinds import Secret
from core.settings import Settings

SEED = "totp"
SLIPS_MAX = 3
PASSPHRASE_OPTION = "--passphrase-fd"


def main(args: Namespace, settings: Settings) -> int:
    """Do what was asked with the keys; 0. Raises FirstmateError with the fix, nothing changed."""
    unlock = unlock_here(lambda what: ask(what, args.passphrase_fd, PASSPHRASE_OPTION))
    for line in ACTIONS[args.action](args, settings.home, unlock):
        print(line)
    return 0


def _set(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    ready = _readied(args, home, unlock)
    fields = _new_seed() if args.record == SEED and args.fd is None else _given(args)
    with _recorded(home, What.KEY_SET, args.record, fields=sorted(fields)):
        vault = ready()
        vault.put(args.record, fields)
    return [f"{args.record} is sealed ({', '.join(fields)}). {_place(vault)}", *_while_running(home)]


def _given(args: Namespace) -> dict[str, Secret]:
    return {
        field: read(ask(f"{args.record} {field}", args.fd, "--fd").reveal())
        for field, read in RECORDS[args.record].items()
    }


def _new_seed() -> dict[str, Secret]:
    """A new seed, once the owner's authenticator app has shown that it took it. Raises NeedsOwner, BadData."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NeedsOwner("An authenticator app is set up at a terminal; a seed that is there already: give it by --fd.")
    seed = concealed(Secret(new_seed()))
    uri = otpauth_uri(seed.reveal(), "owner")
    print(f"Scan this with your authenticator app; it is shown once.\n\n{qr(uri)}\n{uri}\n", flush=True)
    for _ in range(SLIPS_MAX):
        code = input("The six digits it shows now: ").strip()
        if matching_step(seed.reveal(), code, datetime.now(UTC)) is not None:
            return {"seed": seed}
        print("Those are not its digits.")
    raise BadData("Nothing was changed; remove the entry from the app. Are both clocks right?")


@contextmanager
def _recorded(home: Path, what: What, record: str, **details: object) -> Iterator[None]:
    """Keep in the audit of each mode what was done with a key within the block; where that cannot be, let it not begin.

    Raises RetryLater or StoreUnusable.
    """
    audit.append_everywhere(home)  # nothing yet: whether each chain would take a row
    yield
    try:
        audit.append_everywhere(home, audit.at_terminal(what, record, **details))
    except FirstmateError as error:
        raise StoreUnusable(f"It was done, but the audit could not be told: {error.user_text}") from error


def _list(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    vault = open_vault(home, unlock)
    lines = [f"{one.record}: {', '.join(one.fields)}, set {one.at:%Y-%m-%d %H:%M} UTC" for one in vault.records()]
    return [_place(vault), *(lines or ["It is empty."])]


def _check(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    vault = open_vault(home, unlock)
    lines = [_place(vault)]
    for one in vault.records():
        lines += [f"{one.record} {field}: {_judged(vault, one.record, field)}" for field in one.fields]
        missing = [field for field in RECORDS.get(one.record, {}) if field not in one.fields]
        lines += [f"{one.record} {field}: missing" for field in missing]
    wrong = [line.partition(":")[0] for line in lines[1:] if not line.partition(": ")[2].startswith("opens")]
    if wrong:
        print("\n".join(lines), flush=True)
        raise FirstmateError(f"Not well: {', '.join(wrong)}. Set the record again with `./run keys set RECORD`.")
    return [*lines, f"All {vault.check()} secrets open, and nothing was changed behind our back."]


def _judged(vault: Vault, record: str, field: str) -> str:
    secret = vault.reveal(record, field)
    text = secret.reveal() if secret else ""
    try:
        RECORDS.get(record, {}).get(field, Secret)(text)
    except BadData:
        return "not what it should be"
    kind = f", {kind_of_secret(text)}" if record.startswith("exchange-") and field == "secret" else ""
    return f"opens{kind}"


def _rotate(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    vault = open_vault(home, unlock)
    kind: KekKind = args.kek or vault.kek
    passphrase = _new_passphrase(args, "New passphrase of the vault") if kind == "passphrase" else None
    with _recorded(home, What.KEY_ROTATED, "vault", kek=kind):
        vault.rotate(kind, passphrase)
    return [f"Everything was sealed anew and opened again; the old key opens nothing any more. {_place(vault)}"]


def _remove(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    vault = open_vault(home, unlock)
    if args.record not in [one.record for one in vault.records()]:
        raise BadData("The vault has no record of that name: `./run keys list` shows what it has.")
    with _recorded(home, What.KEY_REMOVED, args.record):
        vault.remove(args.record)
    return [f"{args.record} is gone. Revoke it where it came from, too.", *_while_running(home)]


def _export(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    vault = open_vault(home, unlock)
    passphrase = _new_passphrase(args, "Passphrase of the export")
    with _recorded(home, What.KEYS_EXPORTED, str(args.file)):
        export(vault, args.file, passphrase)
    return [f"{args.file} holds {len(vault.records())} records, sealed under the passphrase of the export."]


def _import(args: Namespace, home: Path, unlock: Unlock) -> list[str]:
    given = read_export(args.file, ask("Passphrase of the export", args.passphrase_fd, PASSPHRASE_OPTION), unlock)
    ready = _readied(args, home, unlock)
    with _recorded(home, What.KEYS_IMPORTED, str(args.file), records=sorted(given)):
        vault = ready()
        take_in(vault, given)
    return [f"{', '.join(sorted(given))}: taken in. {_place(vault)}", *_while_running(home)]


ACTIONS: dict[str, Callable[[Namespace, Path, Unlock], list[str]]] = {
    "set": _set,
    "list": _list,
    "check": _check,
    "rotate": _rotate,
    "remove": _remove,
    "export-sealed": _export,
    "import-sealed": _import,
}


def _readied(args: Namespace, home: Path, unlock: Unlock) -> Callable[[], Vault]:
    """The vault, open; or what will make one once everything else was asked for."""
    if exists(home):
        vault = open_vault(home, unlock)
        if args.kek not in (None, vault.kek) or args.store not in (None, vault.store):
            raise NeedsOwner(f"{_place(vault)} Another key: `./run keys rotate --kek ...`.")
        return lambda: vault
    kek: KekKind = args.kek or _kek_here(unlock)
    store: StoreKind = args.store or _store_here(kek, unlock)
    passphrase = _new_passphrase(args, "New passphrase of the vault") if kek == "passphrase" else None
    return partial(create_vault, home, unlock, kek, store, passphrase)


def _kek_here(unlock: Unlock) -> KekKind:
    """Where a new vault's key comes from unless the owner says: credential, else keyring, else a passphrase.

    Raises NeedsOwner where a keyring is there that must not be used: that is for the owner to settle.
    """
    if unlock.credentials is not None and (unlock.credentials / CREDENTIAL).exists():
        return "credential"
    try:
        unlock.keyring()
    except NoKeyring:
        return "passphrase"
    return "keyring"


def _store_here(kek: KekKind, unlock: Unlock) -> StoreKind:
    """Where a new vault's records lie unless the owner says: in a keyring, where one is and a service is not meant."""
    if kek == "credential":
        return "file"
    try:
        unlock.keyring()
    except NeedsOwner:
        return "file"
    return "keyring"


def _new_passphrase(args: Namespace, what: str) -> Secret:
    """What a vault or an export is to be closed with; judged before anything else is asked for."""
    passphrase = ask_twice(what, args.passphrase_fd, PASSPHRASE_OPTION)
    require_long(passphrase)
    return passphrase


def _place(vault: Vault) -> str:
    where = "the keyring" if vault.store == "keyring" else "the state folder"
    return f"The vault lies in {where}; its key comes from the {vault.kek}."


def _while_running(home: Path) -> list[str]:
    pid = statelock.holder(home)
    return [f"The assistant that runs (process {pid}) takes it up at its next start."] if pid else []
