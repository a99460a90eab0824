"""The rows of the modes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.adapters.statefolder import stores
from core.setting_kinds import Secret
from core.settings import Settings
from core.worlds import MODES

CLOSED = "http://127.0.0.1:9"  # where nobody listens


@pytest.mark.parametrize("mode", ["testnet", "live"])
async def test_where_orders_leave_the_house_raising_the_stakes_is_guarded(mode: str, tmp_path: Path):
    """A press in the chat is enough for play money only."""
    key = Secret("FAKE-KEY-for-tests")
    settings = replace(Settings(), home=tmp_path, mode=mode, api_key=key, api_secret=key)
    settings = replace(settings, exchange_url=CLOSED, testnet_url=CLOSED, stream_url="ws://127.0.0.1:9/ws-api/v3")
    async with stores(tmp_path / mode) as kept, MODES[mode](settings, kept) as world:
        assert world.guarded
