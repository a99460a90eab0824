"""What the exchange grants an account besides its orders: rules and fees of each symbol, the rights of its keys.

Rule 1: pure values; a Standing changes by lines of the input log and by nothing else, so a start finds it again.
Rule 2: a key that was taken back stays so, whatever keys a later start is given; the log knows it by a print of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any

from core.decide.costs import Fees, Fills, Terms
from core.decide.venue import Rules
from core.domain.errors import BadData
from core.domain.market import Instrument
from core.sim.exchange.inputs import Line

# every right a key can have, by the exchange's own names, as a careful owner sets them
RIGHTS: Mapping[str, bool] = {
    "ipRestrict": True,
    "enableReading": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableMargin": False,
    "enableFutures": False,
    "enablePortfolioMarginTrading": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": False,
}
INSTRUMENT_NAMES = frozenset(f.name for f in fields(Instrument)) - {"symbol", "base", "quote"}
RULE_NAMES = INSTRUMENT_NAMES | {f.name for f in fields(Rules)} - {"instrument"}


@dataclass(frozen=True, slots=True)
class Standing:
    """Terms by symbol, the key's rights, and prints of keys that are none any more."""

    terms: Mapping[str, Terms]
    rights: Mapping[str, bool]
    revoked: frozenset[str] = frozenset()

    def after(self, line: Line) -> Standing:
        """The standing after one input; the same object where the input is about something else."""
        if line.rules is not None:
            terms = replace(self.terms[line.symbol], rules=line.rules)
            return replace(self, terms={**self.terms, line.symbol: terms})
        if line.fees is not None:
            return replace(self, terms={s: replace(terms, fees=line.fees) for s, terms in self.terms.items()})
        if line.rights:
            return replace(self, rights={**self.rights, **line.rights})
        return replace(self, revoked=self.revoked.union(line.keys)) if line.keys else self

    def changed_rules(self, symbol: str, changed: Mapping[str, Any]) -> Rules:
        """The rules of a symbol with these fields changed. Raises BadData for what is no rule or no symbol."""
        unknown = set(changed) - RULE_NAMES
        if unknown or symbol not in self.terms:
            raise BadData(f"{', '.join(sorted(unknown)) or symbol} is no rule of this exchange")
        rules = self.terms[symbol].rules
        grid = {name: value for name, value in changed.items() if name in INSTRUMENT_NAMES}
        rest = {name: value for name, value in changed.items() if name not in INSTRUMENT_NAMES}
        return replace(rules, instrument=replace(rules.instrument, **grid), **rest)

    def valid(self, keys: Mapping[str, str]) -> dict[str, str]:
        """Those of ``keys`` (key -> secret) that were not taken back."""
        return {key: secret for key, secret in keys.items() if key_print(key) not in self.revoked}


def check_rights(names: Iterable[str]) -> None:
    """Nothing. Raises BadData for a name that is no right of a key."""
    unknown = set(names) - set(RIGHTS)
    if unknown:
        raise BadData(f"{', '.join(sorted(unknown))} is no right of a key; there are {', '.join(RIGHTS)}")


def first_standing(rules: Mapping[str, Rules], fees: Fees, fills: Fills) -> Standing:
    """The standing of a new account."""
    return Standing({symbol: Terms(each, fees, fills) for symbol, each in rules.items()}, RIGHTS)


def key_print(key: str) -> str:
    """16 hex digits that tell one key from another without naming it."""
    return blake2b(key.encode(), digest_size=8).hexdigest()
