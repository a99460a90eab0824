"""The exchange's memory: every input that changed it, one JSON line each.

Rule 1: an input is in the log, flushed, before its answer leaves; so what a client was told survives ``kill -9``.
Rule 2: the same market and the same inputs give the same exchange: a start replays the log.
Rule 3: the first line names market, symbols, start and balances; a log of another exchange is refused.
Rule 4: a torn last line was never answered: it is cut off.
"""

from __future__ import annotations

import errno
from decimal import Decimal
from pathlib import Path
from typing import IO

import msgspec

from core.decide.costs import Fees
from core.decide.venue import ListPlacement, Placement, Rules
from core.domain.errors import BadData
from core.domain.market import ZERO


class Header(msgspec.Struct, frozen=True):
    """Which exchange the log belongs to."""

    market: str
    symbols: list[str]
    span_ms: int
    start_ms: int
    balances: dict[str, Decimal]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input at ``at`` (epoch ms): ``bar`` and ``step`` pass time up to then, the rest are accepted requests.

    ``transfer`` moves ``amount`` of ``asset`` in (> 0) or out; ``rules``, ``fees``, ``rights`` and ``revoke`` change
    what the account may do and pays.
    """

    k: str
    at: int
    order: Placement | None = None
    list: ListPlacement | None = None
    symbol: str = ""
    client_id: str = ""
    asset: str = ""
    amount: Decimal = ZERO
    rules: Rules | None = None
    fees: Fees | None = None
    rights: dict[str, bool] = {}
    keys: tuple[str, ...] = ()


class InputLog:
    """An append-only file of inputs; without a path it only forgets."""

    def __init__(self, path: Path | None, header: Header) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._file: IO[bytes] | None = None
        self.lines: list[Line] = []
        if path is not None:
            self._open(path, header)

    def _open(self, path: Path, header: Header) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read(path, header) if path.exists() else 0
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self._write(self._encoder.encode(header))

    def _read(self, path: Path, header: Header) -> int:
        """Take in the lines; how many bytes of the file are whole lines."""
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        texts = raw[:whole].splitlines()
        if not texts:
            return 0
        decoder = msgspec.json.Decoder(Line)
        try:
            found = msgspec.json.decode(texts[0], type=Header)
            self.lines = [decoder.decode(text) for text in texts[1:]]
        except msgspec.MsgspecError as fault:
            raise BadData(
                f"{path} is no log of the simulated exchange ({fault}); move it away to start anew"
            ) from fault
        if found != header:
            raise BadData(
                f"{path} belongs to another exchange ({_name(found)}, not {_name(header)}): "
                "start with the same flags, or with another state folder"
            )
        return whole

    def append(self, line: Line) -> None:
        """Keep one input; it is with the operating system when this returns."""
        if self._file is not None:
            self._write(self._encoder.encode(line))

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        size = self._file.tell()
        try:
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError:
            self._file.truncate(size)  # half a line in the middle would spoil the next start
            self._file.seek(size)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _name(header: Header) -> str:
    held = ", ".join(f"{amount} {asset}" for asset, amount in sorted(header.balances.items()))
    return f"{header.market} {','.join(header.symbols)} from {header.start_ms} with {held}"
