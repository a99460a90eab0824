"""One Bot API call: its parameters, whatever body they came in, read as the types a method needs.

Rule: a form gives every value as a string and JSON gives it typed; a method sees no difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.sim.chat.values import Upload, bad_request


@dataclass(frozen=True, slots=True)
class Call:
    """The method's name in lower case, its parameters and its uploaded files by field name."""

    method: str
    params: Mapping[str, Any]
    files: Mapping[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The parameter as a string, empty if absent."""
        value = self.params.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """The parameter as an int, ``default`` if absent or no number."""
        try:
            return int(self.text(name))
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        """True if the parameter says so."""
        return self.text(name).strip().lower() in ("true", "1", "yes")

    def json(self, name: str, what: str) -> Any:
        """The parameter as a JSON value, None if absent; ``what`` names it in the error."""
        value = self.params.get(name)
        if isinstance(value, str):
            return read_json(value, what) if value.strip() else None
        return value

    def object(self, name: str, what: str) -> Mapping[str, Any]:
        """The parameter as a JSON object, empty if absent."""
        value = self.json(name, what)
        if value and not isinstance(value, Mapping):
            raise bad_request(f"can't parse {what}: expected an Object")
        return value or {}

    def upload(self, value: str) -> Upload | None:
        """The uploaded file that ``attach://name`` points at."""
        if not value.startswith("attach://"):
            return None
        found = self.files.get(value.removeprefix("attach://"))
        if found is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return found


def read_json(text: str, what: str) -> Any:
    """``text`` read as JSON. Raises ApiError naming ``what``, also for half a character in some string."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    except (ValueError, RecursionError):
        raise bad_request(f"can't parse {what} JSON object") from None
    return value
