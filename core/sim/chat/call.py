"""One Bot API call: its parameters, whatever body they came in, read as the types a method needs.

Rule: a form gives every value as a string and JSON gives it typed; a method sees no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.sim.chat.markup import json_value
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
            return json_value(value, what) if value.strip() else None
        return value

    def upload(self, value: str) -> Upload | None:
        """The uploaded file that ``attach://name`` points at."""
        if not value.startswith("attach://"):
            return None
        found = self.files.get(value.removeprefix("attach://"))
        if found is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return found
