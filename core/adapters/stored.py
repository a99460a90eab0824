"""What a database holds, read as if anybody could have written it.

Rule 1: a cell that is not what its column says is one sentence naming the fix, whatever reading it broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.domain.errors import StoreUnusable


@contextmanager
def stored(what: str) -> Iterator[None]:
    """Turns the stumbles of reading odd cells into StoreUnusable about ``what``."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreUnusable(
            f"{what} in the database cannot be read ({type(error).__name__}): put a backup in its place"
        ) from None
