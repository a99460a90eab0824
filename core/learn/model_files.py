"""A model as three files of a folder: ``model.txt`` (LightGBM's text), ``model.json`` (manifest), ``card.json``.

Rule 1: ``read`` is the only way from files to a model; it passes what is whole, unchanged and made for these features,
        and refuses everything else in one sentence.
Rule 2: nothing in these files is ever executed or unpickled; a folder that holds anything else is refused unread.
Rule 3: a model's id is the head of a sha256 over its text and its manifest; the manifest holds the sha256 of the card.
Rule 4: standard library and msgspec alone: whoever shows a model loads no numpy.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from core.domain.errors import BadData
from core.domain.model import Manifest, Model, all_finite
from core.learn import features
from core.learn.fit import bound, calibration

FORMAT = 1
ID_DIGITS = 12
TEXT, MANIFEST, CARD = "model.txt", "model.json", "card.json"
SIZES_MAX = {TEXT: 64 << 20, MANIFEST: 4 << 20, CARD: 8 << 20}
OTHERS_MAY_WRITE = 0o022
_BEGINS = "tree\n"  # the first line of LightGBM's text format


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Reads and writes models whose rows are ``names``, features of ``version``."""

    names: tuple[str, ...]
    version: str

    def pack(self, text: str, manifest: Manifest, card: Mapping[str, object]) -> tuple[str, dict[str, bytes]]:
        """Id and files of a model that ``read`` will take. Raises BadData."""
        if not all_finite(card):
            raise BadData("the card of a model holds a number that is not finite")
        files = {TEXT: text.encode(), CARD: _written(card)}
        body = {"format": FORMAT, "sha256": {name: _sha256(data) for name, data in files.items()}}
        body |= msgspec.to_builtins(asdict(manifest))
        made = _id(files[TEXT], body)
        files[MANIFEST] = _written(body | {"id": made})
        self._model(Path(made), files)
        return made, files

    def read(self, folder: Path) -> Model:
        """The model in ``folder``. Raises BadData with one sentence for whatever is not one of ours."""
        try:
            return self._model(folder, _files(folder))
        except BadData as fault:
            raise BadData(f"The model {folder.name} is refused: {fault.user_text}.") from fault

    def _model(self, folder: Path, files: Mapping[str, bytes]) -> Model:
        fields = _fields(files[MANIFEST], "the manifest")
        _require_unchanged(files, fields, folder.name)
        try:
            manifest = msgspec.convert(fields, Manifest)
        except (msgspec.ValidationError, BadData) as error:
            raise BadData(str(error)) from error
        if manifest.feature_version != self.version or manifest.features != self.names:
            raise BadData("it was trained on another set of features than this version computes: train anew")
        calibration.from_json(fields["calibrator"])
        bound.from_json(fields["bound"])
        return Model(folder.name, folder, manifest, _text(files[TEXT]), _fields(files[CARD], "the card"))


def ours() -> ModelFiles:
    """Models made for the features of this version."""
    return ModelFiles(features.MODEL_NAMES, features.version())


def _files(folder: Path) -> dict[str, bytes]:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise BadData(_why_closed(error)) from error
    try:
        strangers = sorted(set(os.listdir(handle)) - SIZES_MAX.keys())
        if strangers:
            raise BadData(f"it holds {strangers[0][:60]!a}, which no model has")
        return {name: _bytes(handle, name, most) for name, most in SIZES_MAX.items()}
    finally:
        os.close(handle)


def _why_closed(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "there is no such model"
    # what a link shows itself as differs between folders and files
    return "it is a link or no folder" if error.errno in (errno.ELOOP, errno.ENOTDIR) else f"{error.strerror}"


def _bytes(folder: int, name: str, most: int) -> bytes:
    try:
        # a pipe would keep us waiting for whoever writes to it
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        said = {errno.ENOENT: "is missing", errno.ELOOP: "is a link"}.get(error.errno or 0, f"{error.strerror}")
        raise BadData(f"{name} {said}") from error
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            raise BadData(f"{name} is no plain file")
        if seen.st_mode & OTHERS_MAY_WRITE or seen.st_uid not in (0, os.geteuid(), os.fstat(folder).st_uid):
            raise BadData(f"{name} may have been written by others")
        if seen.st_size > most:
            raise BadData(f"{name} is {seen.st_size >> 20} MiB, over the {most >> 20} MiB a model may have")
        try:
            return file.read(most)
        except OSError as error:
            raise BadData(f"{name} cannot be read ({error.strerror})") from error


def _fields(data: bytes, what: str) -> dict[str, object]:
    try:
        found = msgspec.json.decode(data, type=dict[str, object])
    except (ValueError, RecursionError) as error:
        raise BadData(f"{what} is no JSON object") from error
    if not all_finite(found):
        raise BadData(f"{what} holds a number that is not finite")
    return found


def _require_unchanged(files: Mapping[str, bytes], fields: Mapping[str, object], name: str) -> None:
    if fields.get("format") != FORMAT:
        raise BadData("its format is not the one this version reads")
    if fields.get("sha256") != {each: _sha256(files[each]) for each in (TEXT, CARD)}:
        raise BadData("its files are not the ones its manifest was written for")
    if {fields.get("id"), name} != {_id(files[TEXT], fields)}:
        raise BadData("its content is not what its id says")


def _id(text: bytes, fields: Mapping[str, object]) -> str:
    body = {key: value for key, value in fields.items() if key != "id"}
    return _sha256(text + msgspec.json.encode(body, order="deterministic"))[:ID_DIGITS]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _written(fields: Mapping[str, object]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(fields, order="sorted")) + b"\n"


def _text(data: bytes) -> str:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadData(f"{TEXT} is no text") from error
    if not text.startswith(_BEGINS) or "\nend of trees\n" not in text:
        raise BadData(f"{TEXT} is not a whole model in LightGBM's text format")
    return text
