"""The command line: what was typed is run, and what a command raises becomes one line and an exit code.

Rule 1: nothing heavy is imported here; each command lives in ``bot.commands.<name>`` as ``main(args, settings) -> int``
        and is imported when it was asked for.
Rule 2: whatever goes wrong is one line on stderr and an exit code of EXIT_CODES; a traceback goes to the log only.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress

from bot.grammar import parse
from core.adapters.process_guard import seal
from core.adapters.redaction import printable, redact, short
from core.domain.errors import FirstmateError
from core.setting_sources import load
from core.settings import Settings, SettingsWrong

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code, see EXIT_CODES in `bot.grammar`."""
    if argv is None:  # a process of our own, not a call inside somebody else's
        seal()
    args = parse(list(sys.argv[1:] if argv is None else argv))
    try:
        code = _call(args)
        sys.stdout.flush()
        return code
    except FirstmateError as error:
        return _refuse(error.user_text, error.exit_code)
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read our output has gone: say no more
        return 1
    except Exception as error:
        return _unexpected(error, args)


def _call(args: Namespace) -> int:
    os.umask(0o077)
    settings = _settings(args)
    module = importlib.import_module(f"bot.commands.{args.command.replace('-', '_')}")
    code: int = module.main(args, settings)
    return code


def _settings(args: Namespace) -> Settings:
    """The settings under this command's flags; `doctor` gets the defaults and the problems in ``args.problems``."""
    names = ("mode", "symbols", "timeframe", "approve")
    flags: dict[str, str | None] = {name: getattr(args, name, None) for name in names}
    flags["home"] = str(args.state) if args.state else None
    if args.command == "demo":
        flags["mode"] = "demo"
    args.problems = []
    try:
        return load(overrides=flags)
    except SettingsWrong as error:
        if args.command != "doctor":
            raise
        args.problems = error.lines
        return Settings(home=error.home)


def _refuse(text: str, code: int) -> int:
    for line in redact(text).splitlines():
        print(f"firstmate: {printable(line)}", file=sys.stderr)
    return code


def _unexpected(error: Exception, args: Namespace) -> int:
    """One line for an error nobody foresaw; its traceback goes to the log where there is one, or on demand."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return _refuse("the disk is full: free some space and start again", 4)
    from core.adapters import telemetry

    with suppress(FirstmateError):
        telemetry.conceal_secrets(_settings(args))
    if os.environ.get("FIRSTMATE_LOG_LEVEL") == "debug" and not telemetry.is_configured():
        telemetry.configure("debug")
    if telemetry.is_configured():
        import logging

        logging.getLogger("firstmate").critical("stopped by an unexpected error", exc_info=error)
        where = "where it happened stands in the log line above"
    else:
        where = "start again with FIRSTMATE_LOG_LEVEL=debug to see where"
    first = short(" ".join(str(error).split()))
    return _refuse(f"unexpected {type(error).__name__}: {first}; {where}", 1)
