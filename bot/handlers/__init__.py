"""One router factory a family of commands; a Router can be mounted once, so each is made anew."""

from __future__ import annotations

from aiogram import Router
from aiogram.types import BotCommand

from bot.handlers import risk, settings, signals, status, trades

COMMANDS = {
    "start": "What I am and what I can do",
    "status": "Everything at one glance",
    "signal": "What I would do now: /signal BTC",
    "why": "Why, or why not: /why BTC",
    "positions": "What is held and what protects it",
    "orders": "Newest orders",
    "trades": "Closed trades",
    "balance": "What is in the account",
    "risk": "What is at risk",
    "limits": "My limits",
    "pause": "No new entries",
    "resume": "Trade again",
    "panic": "Sell everything and halt",
    "health": "Is everything well?",
    "settings": "Time zone",
    "help": "All commands",
}


def commands() -> list[BotCommand]:
    """The command menu."""
    return [BotCommand(command=name, description=text) for name, text in COMMANDS.items()]


def root() -> Router:
    """Every family; what none of them knows gets a hint, so it comes last."""
    router = Router(name="root")
    router.include_routers(
        status.router(COMMANDS), signals.router(), risk.router(), trades.router(), settings.router(), status.unknown()
    )
    return router
