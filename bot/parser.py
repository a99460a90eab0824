"""How the command line refuses what was typed: in one line, and never with a secret in it.

Rule 1: names are known whole only.
Rule 2: a discreet parser, one of a command that is about secrets, never repeats what was typed: argparse quotes it, and
        whoever put a key there by mistake would have it on the screen and in whatever keeps the screen.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import Any, NoReturn

KEPT_BACK = (
    "is not understood, nor shown, for it may be a secret. Secrets are never given as arguments: they are asked for,"
    " unseen, or read from a descriptor (--fd N). One that was given stands in the shell's history: replace it"
)
# what argparse says without quoting, and a file that is not there
_HARMLESS = re.compile(
    r"the following arguments are required: .*|argument [^:]+: expected one argument|argument FILE: .*"
)


class Parser(ArgumentParser):
    """An argument parser that refuses in one line, and knows whole names only."""

    discreet = False
    branches = False

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter, **options)

    def add_subparsers(self, **options: Any) -> Any:
        """As ArgumentParser does."""
        self.branches = True
        return super().add_subparsers(**options)

    def read(self, words: list[str]) -> tuple[Namespace, list[str]]:
        """What was typed, and what of it is unknown; options stand before, between and behind other words."""
        if glued := next((word for word in words if word.startswith("-h") and word != "-h"), None):
            # from Python 3.13 on argparse takes it for -h, and would not say what becomes of the rest
            self.error(f"argument -h/--help: ignored explicit argument {glued[2:]!r}")
        if self.branches:  # argparse cannot mix those, nor is there need: each action takes one word at most
            return self.parse_known_args(words)
        return self.parse_known_intermixed_args(words)

    def error(self, message: str) -> NoReturn:
        if self.discreet and not _HARMLESS.fullmatch(message):
            named = re.match(r"argument ([^:]+): ", message)
            message = f"{f'what was given for {named[1]}' if named else 'an argument'} {KEPT_BACK}"
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')} (see {self.prog} --help)\n")
