"""The commands a person can send, in the order of the menu.

Rule 1: every command handled stands here, and nothing else does.
"""

from __future__ import annotations

COMMANDS = {
    "start": "What I am and what I can do",
    "status": "Everything at one glance",
    "signal": "What I would do now: /signal BTC",
    "why": "Why, or why not: /why BTC",
    "positions": "What is held and what protects it",
    "stop": "Move a stop up: /stop BTC 61000, or trail",
    "orders": "Newest orders",
    "trades": "Closed trades",
    "balance": "What is in the account",
    "risk": "What is at risk",
    "limits": "My limits",
    "pause": "No new entries",
    "resume": "Trade again",
    "panic": "Sell everything and halt",
    "reconcile": "Compare my books with the exchange now",
    "health": "Is everything well?",
    "twin": "What real trading costs against paper",
    "model": "Who forecasts, and what it is worth",
    "retrain": "Train a new model now, or stop it",
    "mode": "What runs, and the way to real money",
    "settings": "Time zone",
    "help": "All commands",
}
