"""One router factory a family of commands; a Router can be mounted once, so each is made anew."""

from __future__ import annotations

from aiogram import Router
from aiogram.types import BotCommand

from bot.handlers import lab, mode, risk, settings, signals, status, stepup, trades, twin
from bot.views.menu import COMMANDS


def commands() -> list[BotCommand]:
    """The command menu."""
    return [BotCommand(command=name, description=text) for name, text in COMMANDS.items()]


def root() -> Router:
    """Every family; what none of them knows gets a hint, so it comes last."""
    router = Router(name="root")
    router.include_routers(
        status.router(),
        signals.router(),
        risk.router(),
        trades.router(),
        twin.router(),
        lab.router(),
        settings.router(),
        mode.router(),
        stepup.router(),
        status.unknown(),
    )
    return router
