"""systemd hears what it should, and its absence is no matter."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.adapters.notify import READY, STOPPING, WATCHDOG, notify, status, watchdog_interval_s


@pytest.fixture
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[socket.socket, str]]:
    """A real datagram socket, standing in for systemd's, and its address."""
    path = str(tmp_path_factory.mktemp("n") / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(5)
        yield channel, path


def test_ready_and_status_arrive_in_one_datagram(systemd: tuple[socket.socket, str]):
    """systemd learns that we are ready and what we do, at once."""
    channel, path = systemd
    assert notify(READY, status("watching\n4 symbols"), environ={"NOTIFY_SOCKET": path})
    assert channel.recv(200) == b"READY=1\nSTATUS=watching 4 symbols"


def test_watchdog_and_stopping_arrive(systemd: tuple[socket.socket, str]):
    """The trading loop's heartbeat and the goodbye are the words systemd knows."""
    channel, path = systemd
    assert [notify(line, environ={"NOTIFY_SOCKET": path}) for line in (WATCHDOG, STOPPING)] == [True, True]
    assert [channel.recv(200), channel.recv(200)] == [b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="abstract sockets are a Linux thing")
def test_an_abstract_socket_is_understood():
    """Containers hand over an address beginning with @."""
    name = f"firstmate-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        channel.settimeout(5)
        assert notify(READY, environ={"NOTIFY_SOCKET": "@" + name})
        assert channel.recv(200) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]):
    """Started by hand, the assistant does not miss systemd."""
    assert not notify(READY, environ=environ)


def test_a_socket_that_is_gone_is_no_error(tmp_path: Path):
    """A restart of systemd's side never stops trading."""
    assert not notify(WATCHDOG, environ={"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_the_watchdog_is_fed_twice_as_often_as_asked():
    """One late heartbeat is not yet a restart."""
    assert watchdog_interval_s({"WATCHDOG_USEC": "60000000"}) == 30.0
    assert watchdog_interval_s({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}) == 30.0


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}])
def test_nobody_watching_means_no_interval(environ: dict[str, str]):
    """A watchdog meant for another process is not ours to feed."""
    assert watchdog_interval_s(environ) is None
