"""How many messages a chat may get before the server answers 429, as Telegram does.

Rule: off unless a policy says otherwise; a refused call does not count.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.sim.chat.values import ApiError


@dataclass(frozen=True, slots=True)
class FloodPolicy:
    """At most ``messages`` sends and edits a chat in any ``per_s`` seconds; 0 messages means no limit."""

    messages: int = 0
    per_s: float = 1.0


class FloodMeter:
    """Counts what was let through, chat by chat."""

    def __init__(self, policy: FloodPolicy) -> None:
        self._policy = policy
        self._passed: defaultdict[int, deque[datetime]] = defaultdict(lambda: deque(maxlen=max(1, policy.messages)))

    def admit(self, chat_id: int, at: datetime) -> None:
        """Count one message. Raises ApiError 429 with the whole seconds to wait, at least 1."""
        if not self._policy.messages:
            return
        passed = self._passed[chat_id]
        free_at = passed[0] + timedelta(seconds=self._policy.per_s) if len(passed) == passed.maxlen else at
        if free_at > at:
            wait_s = max(1, math.ceil((free_at - at).total_seconds()))
            raise ApiError(429, f"Too Many Requests: retry after {wait_s}", wait_s)
        passed.append(at)
