"""What holds for every test: a busy machine is no failure, and a test's logging ends with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("firstmate", deadline=None)
settings.load_profile("firstmate")


@pytest.fixture(autouse=True)
def _logging_ends_with_the_test() -> Iterator[None]:
    """A command called in this process sets up its logs; the next test listens to its own."""
    kept, root = structlog.get_config(), logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.configure(**kept)
    root.setLevel(level)
    root.handlers[:] = handlers
