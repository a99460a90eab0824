"""The registry: every trained model of a mode, which one forecasts, and which one may come after it.

Rule 1: a model is added whole or not at all (its own folder, fsync, rename), and the same content only once.
Rule 2: champion and challenger are named by two small files, swapped atomically; whoever reads sees the old or the new.
Rule 3: a model is read and proven sound before a pointer may name it: what is broken never replaces what works.
Rule 4: one writer at a time (flock on the folder), in whichever process; readers wait for nobody.
Rule 5: the champions before stand once each beside the champion, and stay: who is gone back from does not come back.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from core.adapters import jsonfile, private_file, statelock
from core.domain.errors import BadData, NeedsOwner, StoreUnusable
from core.domain.model import Manifest, Model
from core.lab_ports import NOBODY_BEFORE, Listed

FOLDER = "models"
BEFORE_MAX = 5
_ID = re.compile(r"[0-9a-f]{12}")
_CHAMPION, _CHALLENGER = "champion.json", "challenger.json"
_ADDING, _LEAVING = ".adding-", ".leaving-"


class Format(Protocol):
    """How a model lies in its folder: ``core.learn.model_files`` knows."""

    def pack(self, text: str, manifest: Manifest, card: Mapping[str, object]) -> tuple[str, dict[str, bytes]]:
        """Id and files of a model. Raises BadData."""

    def read(self, folder: Path) -> Model:
        """The model in a folder. Raises BadData."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which model holds a place since when, and which held it before, oldest first."""

    id: str = ""
    at: datetime | None = None
    before: tuple[str, ...] = ()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing(_: Model) -> str:
    return ""


class Registry:
    """The models in ``folder`` (`<state>/<mode>/models`), made by the first writer; implements ModelStore."""

    def __init__(self, folder: Path, form: Format, now: Callable[[], datetime] = _utc_now) -> None:
        self._folder = folder
        self._form = form
        self._now = now

    def add(self, text: str, manifest: Manifest, card: Mapping[str, object]) -> str:
        """Keep a model; its id. Raises BadData for what would be refused later, StoreUnusable; nothing is kept then."""
        made, files = self._form.pack(text, manifest, card)
        with self._writing():
            if not self._sound(made):
                self._put(made, files)
        return made

    def list(self) -> Sequence[Listed]:
        """Every model here, newest first, the broken ones last with the sentence that refuses them."""
        champion, challenger = self._pointer(_CHAMPION).id, self._pointer(_CHALLENGER).id
        found = []
        for made in self._ids():
            model, fault = self._read(made)
            found.append(Listed(made, model, fault, made == champion, made == challenger))
        return sorted(
            found, key=lambda one: one.model.manifest.created_at.timestamp() if one.model else 0, reverse=True
        )

    def load(self, made: str) -> Model:
        """The model of this id, proven whole. Raises BadData with the sentence that refuses it."""
        if not _ID.fullmatch(made):
            raise BadData("A model's id has 12 hex digits: `./run models list` shows them.")
        return self._form.read(self._folder / made)

    def champion(self) -> tuple[Model | None, str]:
        """The model that forecasts and "", or None and the sentence why there is none."""
        return self._in_place(_CHAMPION, "There is no champion yet.")

    def challenger(self) -> tuple[Model | None, str]:
        """The model that forecasts in the champion's shadow and "", or None and why there is none."""
        return self._in_place(_CHALLENGER, "There is no challenger.")

    def promote(self, made: str) -> None:
        """Make a model champion, and challenger no longer. Raises BadData, NeedsOwner; the champion then stays."""
        with self._writing():
            model = self.load(made)
            if self.too_old(model):
                raise NeedsOwner(f"{why_too_old(model)}: train anew.")
            now = self._pointer(_CHAMPION)
            if now.id != made:
                before = [one for one in now.before if one not in (made, now.id)]
                self._crown(made, (*before, now.id) if now.id else before)
            elif self._pointer(_CHALLENGER).id == made:
                self._point(_CHALLENGER, Pointer(at=self._now()))

    def way_back(self, unfit: Callable[[Model], str] = _nothing) -> tuple[Model | None, Sequence[str]]:
        """The newest champion before that can forecast, None where there is none; of each newer one why it cannot.

        ``unfit`` says what speaks against a sound model, "" for nothing.
        """
        passed = list[str]()
        for made in reversed(self._pointer(_CHAMPION).before):
            model, fault = self._usable(made)
            fault = unfit(model) if model else fault
            if not fault:
                return model, tuple(passed)
            passed.append(fault)
        return None, tuple(passed)

    def rollback(self, unfit: Callable[[Model], str] = _nothing) -> tuple[str, Sequence[str]]:
        """Give the place back along ``way_back``; the id of who gets it, and why others do not.

        Raises NeedsOwner where there is none; the champion then stays.
        """
        with self._writing():
            model, passed = self.way_back(unfit)
            if model is None:
                raise NeedsOwner(" ".join((*passed, NOBODY_BEFORE)))
            before = self._pointer(_CHAMPION).before
            self._crown(model.id, before[: before.index(model.id)])
            return model.id, passed

    def dismiss(self) -> None:
        """Leave the champion's place empty; nobody goes back to whoever held it."""
        with self._writing():
            now = self._pointer(_CHAMPION)
            if now.id:
                self._point(_CHAMPION, Pointer(at=self._now(), before=now.before))

    def set_challenger(self, made: str | None) -> None:
        """Let a model forecast in shadow, or none. Raises BadData, NeedsOwner; the challenger then stays."""
        with self._writing():
            if made is not None and self.too_old(self.load(made)):
                raise NeedsOwner(f"The model {made} is too old to be tried: train anew.")
            self._point(_CHALLENGER, Pointer(made or "", self._now()))

    def retire(self, older: timedelta, keep: int = 5) -> Sequence[str]:
        """Remove models added longer ago than ``older``; their ids.

        Champion, challenger, the champions before, and the newest ``keep`` models stay.
        """
        with self._writing():
            now = self._pointer(_CHAMPION)
            stay = {now.id, self._pointer(_CHALLENGER).id, *now.before}
            by_age = sorted(self._ids(), key=self._added_at)
            until = self._now().timestamp() - older.total_seconds()
            gone = [made for made in by_age[: max(0, len(by_age) - keep)] if made not in stay]
            gone = [made for made in gone if self._added_at(made) < until]
            for made in gone:
                self._remove(made)
            return gone

    def too_old(self, model: Model) -> bool:
        """Whether a model forecasts no longer, by the clock of this registry."""
        return model.manifest.too_old(self._now())

    def stamp(self) -> tuple[int, ...]:
        """Something else after each change of champion or challenger, by whichever process; two looks at the disk."""
        return (*self._seen(_CHAMPION), *self._seen(_CHALLENGER))

    def _in_place(self, name: str, nobody: str) -> tuple[Model | None, str]:
        pointer = self._pointer(name)
        if not pointer.id:
            readable = jsonfile.read(self._folder / name, Pointer) or not os.path.lexists(self._folder / name)
            return None, nobody if readable else f"{name} cannot be read: `./run models promote ID` writes it anew."
        return self._usable(pointer.id)

    def _usable(self, made: str) -> tuple[Model | None, str]:
        """The model if it may forecast now and "", else None and why not."""
        model, fault = self._read(made)
        if model and self.too_old(model):
            return None, f"{why_too_old(model)}."
        return model, fault

    def _read(self, made: str) -> tuple[Model | None, str]:
        try:
            return self.load(made), ""
        except BadData as fault:
            return None, fault.user_text

    def _sound(self, made: str) -> bool:
        return self._read(made)[0] is not None

    def _ids(self) -> Sequence[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if _ID.fullmatch(name))
        except OSError:  # none yet, or out of reach: then there are none to use
            return []

    def _pointer(self, name: str) -> Pointer:
        return jsonfile.read(self._folder / name, Pointer) or Pointer()

    def _point(self, name: str, pointer: Pointer) -> None:
        jsonfile.write(self._folder / name, pointer)

    def _crown(self, made: str, before: Sequence[str]) -> None:
        self._point(_CHAMPION, Pointer(made, self._now(), tuple(before[-BEFORE_MAX:])))
        if self._pointer(_CHALLENGER).id == made:
            self._point(_CHALLENGER, Pointer(at=self._now()))

    def _seen(self, name: str) -> tuple[int, ...]:
        with suppress(OSError):
            found = os.stat(self._folder / name)
            return found.st_mtime_ns, found.st_ino
        return 0, 0

    def _added_at(self, made: str) -> float:
        return os.lstat(self._folder / made).st_mtime

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The folder is ours to change within the block, and what a killed writer left is gone."""
        statelock.prepare(self._folder)
        with _opened(self._folder) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for name in os.listdir(handle):
                if name.startswith((_ADDING, _LEAVING)):
                    shutil.rmtree(self._folder / name, ignore_errors=True)
            yield

    def _put(self, made: str, files: Mapping[str, bytes]) -> None:
        """Rule 1; what lay under this id was broken and goes."""
        if os.path.lexists(self._folder / made):
            self._remove(made)
        try:
            beside = Path(tempfile.mkdtemp(prefix=_ADDING, dir=self._folder))
            for name, data in files.items():
                private_file.write(beside / name, data)
            beside.rename(self._folder / made)
            with _opened(self._folder) as handle:
                os.fsync(handle)
        except OSError as error:
            raise StoreUnusable(f"The model {made} cannot be kept in {self._folder}: {error.strerror}.") from error

    def _remove(self, made: str) -> None:
        # renamed first: what is cut in the middle of its removal is nobody's model
        leaving = self._folder / f"{_LEAVING}{made}"
        os.rename(self._folder / made, leaving)
        if leaving.is_dir() and not leaving.is_symlink():
            shutil.rmtree(leaving, ignore_errors=True)
        else:
            leaving.unlink()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def why_too_old(model: Model) -> str:
    """The words for a model that forecasts no longer, without their full stop."""
    return f"The model {model.id} forecast until {model.manifest.ends_at:%Y-%m-%d} and is too old now"
