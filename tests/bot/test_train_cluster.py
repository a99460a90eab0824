"""train --cluster: the work is done elsewhere, and the model is the very same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.adapters.models import FOLDER, Registry
from core.learn.judge import card
from core.learn.model_files import CARD, MANIFEST, TEXT, ours
from tests.bot.lived import firstmate
from tests.bot.test_command_train import CACHE, SHORT, files

LOOPBACK = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None, "processes": False}


def kept(home: Path) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Text, manifest and card of the only model there is, which the registry can read, without the moment it was made
    at and what hangs on that."""
    (listed,) = Registry(home / "paper" / FOLDER, ours()).list()
    assert listed.model is not None, listed.fault
    folder = listed.model.folder
    manifest, judged = (json.loads((folder / name).read_bytes()) for name in (MANIFEST, CARD))
    assert card.from_json(judged) == card.from_json(listed.model.card)
    del manifest["id"], manifest["created_at"], manifest["sha256"][CARD], judged["making"]["made_at"]
    return (folder / TEXT).read_bytes(), manifest, judged


def test_a_cluster_trains_the_model_that_one_machine_does(tmp_path: Path):
    """The whole command against a cluster on this machine: its workers did the work; model, manifest and card are the
    same to the last byte, but for the moment they were made at."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    words = ("train", "--data", str(files(tmp_path / "d", SHORT, "BTCUSDT", "ETHUSDT", "XRPUSDT")), "--trials", "1")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **LOOPBACK) as local:
        there = firstmate(*words, "--cluster", local.scheduler_address, home=tmp_path / "there", env=CACHE)
        done = [worker.state.executed_count for worker in local.workers.values()]
    assert (there.returncode, there.stderr) == (0, "")
    assert "The gate does not let it pass" in there.stdout
    assert all(done)
    here = firstmate(*words, home=tmp_path / "here", env=CACHE)
    assert (here.returncode, here.stderr) == (0, "")
    assert kept(tmp_path / "there") == kept(tmp_path / "here")
