"""What can be typed: every command with its options, and the exit codes all of them share.

Rule 1: nothing heavy is imported here; every start reads this.
Rule 2: a flag that is also a setting overrules the setting (`--symbols`, `--timeframe`, `--approve`, `--mode`,
        `--state`): commands read ``settings``, not the flag.
Rule 3: the command comes first; its options stand before, between or behind its other words.
"""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from pathlib import Path
from typing import Any

from bot import arguments as typed
from bot.parser import Parser
from core.settings import MODES, TIMEFRAMES

VERSION = "0.1.0"
RECORDS = ("telegram", "exchange-live", "exchange-testnet", "totp")
KEKS = ("keyring", "credential", "passphrase")
EXPORTS = ("orders", "fills", "trades", "signals", "journal")
EXIT_CODES = """exit codes:
  0    done
  1    failed, for the reason printed
  2    wrong usage, setting, input or key, or live without your leave; nothing was changed
  3    another firstmate is running on this state folder
  4    the state folder or its database cannot be used, or the disk is full
  5    no network, or the exchange or Telegram cannot be reached
  130  interrupted by the keyboard"""


def parse(argv: list[str]) -> Namespace:
    """What was typed, checked; without a command it is `run`. Leaves the process with 2 when something is wrong."""
    parser, commands = _parsers()
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version")):
        argv = ["run", *argv]
    if not argv[0].startswith("-") and argv[0] not in commands:
        parser.error(f"there is no command '{argv[0]}'{_nearest(argv[0], list(commands))}")
    if argv[0].startswith("-"):
        parser.parse_args(argv)  # help or version: it leaves
    command = commands[argv[0]]
    args, unknown = command.read(argv[1:])
    args.command = argv[0]
    if unknown:
        if unknown[0] in commands:
            command.error(f"'{unknown[0]}' is a command and comes first: firstmate {unknown[0]} ...")
        options = [word.strip(",[]") for word in command.format_usage().split() if "--" in word]
        name = unknown[0].partition("=")[0]
        command.error(f"unknown argument '{name}'{_nearest(name, options)}")
    return args


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="firstmate",
        description="A personal trading assistant for Binance spot markets that lives in Telegram.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"firstmate {VERSION}")
    commands: dict[str, Parser] = {}
    places = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, sentence: str) -> Parser:
        made: Parser = places.add_parser(name, help=sentence, description=sentence, epilog=EXIT_CODES)
        commands[name] = made
        return made

    _running(command)
    _owner(command)
    _trust(command)
    _reading(command)
    _audit(command)
    _models(command)
    _training(command)
    _market_data(command)
    _standing_alone(command)
    return parser, commands


def _running(command: Any) -> None:
    run = command("run", "start the assistant in its mode (this is what no command does)")
    run.add_argument("--mode", choices=MODES, help="the mode to start, remembered for the next time")
    run.add_argument("--approve", choices=("ask", "auto"), help="who approves entries; default: the setting")
    _vault(run)
    _state(run)
    demo = command("demo", "start a demo: a simulated exchange and a chat in the browser, no account needed")
    _market(demo)
    demo.add_argument("--bars", type=typed.whole(1, 10_000_000), help="stop after so many bars; default: go on")
    demo.add_argument("--approve", choices=("ask", "auto"), help="who approves entries; default: the setting")
    demo.add_argument("--headless", action="store_true", help="no web page; print the transcript and a summary")
    _state(demo)
    live = command("go-live", "check everything and, by your word in chat and terminal, allow real money")
    _vault(live)
    _state(live)


def _owner(command: Any) -> None:
    pair = command("pair", "bind the one Telegram account that is obeyed, by a code and a yes typed here")
    _vault(pair)
    _state(pair)
    _state(command("confirm", "say yes or no to what waits for it: trading again after a halt, higher limits"))


def _trust(command: Any) -> None:
    keys = command("keys", "keep exchange keys and the bot token sealed in the vault")
    keys.discreet = True
    _vault(keys)
    _state(keys)
    actions = keys.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, sentence: str) -> Parser:
        made: Parser = actions.add_parser(name, help=sentence, description=sentence, epilog=EXIT_CODES)
        made.discreet = True
        _vault(made, default=SUPPRESS)  # what stood before the action is not overwritten
        _state(made, default=SUPPRESS)
        return made

    setting = action("set", "seal a record: its secrets are asked for at the terminal, unseen, or read from --fd")
    setting.add_argument("record", choices=RECORDS, metavar="|".join(RECORDS))
    setting.add_argument("--fd", type=typed.descriptor, metavar="N", help="read the secrets here, one a line")
    action("list", "show which records there are, and since when")
    action("check", "open every secret and say whether it is what it should be")
    turning = action("rotate", "close the vault with a new key and let the old one go")
    action("remove", "forget a record").add_argument("record", metavar="RECORD")
    action("export-sealed", "write every record to a file, sealed under a passphrase of its own").add_argument(
        "file", type=Path, metavar="FILE"
    )
    taking = action("import-sealed", "take in the records of an export")
    taking.add_argument("file", type=typed.existing_file, metavar="FILE")
    for made in (setting, turning, taking):
        made.add_argument("--kek", choices=KEKS, help="where the vault's key comes from; default: what is here")
    for made in (setting, taking):
        made.add_argument("--store", choices=("keyring", "file"), help="where a new vault's records lie")


def _reading(command: Any) -> None:
    status = command("status", "show what the assistant holds and does; read only, also while it runs")
    status.add_argument("--json", action="store_true", help="print JSON")
    _state(status)
    export = command("export", "print what was recorded")
    export.add_argument("what", choices=EXPORTS, metavar="|".join(EXPORTS))
    export.add_argument("--format", choices=("csv", "json"), required=True)
    _state(export)
    doctor = command("doctor", "check this machine and these settings, and say what to mend")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    _state(doctor)
    _state(command("migrate", "bring the databases up to date, after a backup"))
    compare = command("reconcile", "compare the books with the exchange; ask the assistant where it runs")
    compare.add_argument("--json", action="store_true", help="print JSON")
    _vault(compare)
    _state(compare)
    _state(command("replay", "step the journal again from its first line and prove that it repeats"))


def _audit(command: Any) -> None:
    audit = command("audit", "show who did what, and prove that nothing of it was changed; read only")
    audit.add_argument("what", choices=("verify", "show", "head"), metavar="verify|show|head")
    audit.add_argument("--head", metavar="HASH", help="verify: a head noted before, to prove that it is still in there")
    audit.add_argument("--last", type=typed.whole(1, 1_000_000), metavar="N", help="show: so many rows; default 20")
    audit.add_argument("--json", action="store_true", help="show: print a JSON object a line")
    _state(audit)


def _models(command: Any) -> None:
    models = command(
        "models", "show the trained models and their cards, name the champion, or go back to the one before"
    )
    models.add_argument("action", choices=("list", "show", "promote", "rollback"), metavar="list|show|promote|rollback")
    models.add_argument("id", nargs="?", metavar="ID", help="show or promote this one; show without it: the champion")
    models.add_argument(
        "--from",
        dest="origin",
        choices=("paper", "live"),
        help="promote: take it over from this mode, where it passed its gate; the mode set becomes its own",
    )
    models.add_argument("--json", action="store_true", help="print JSON")
    models.add_argument(
        "--page",
        type=typed.written,
        metavar="FILE",
        help="show: write the card as a page (HTML) into this file, or to -",
    )
    _state(models)


def _training(command: Any) -> None:
    train = command("train", "train a model on the stored bars, judge it, and keep it beside the others")
    train.add_argument("--symbols", help="pairs, comma-separated; default: the setting")
    train.add_argument("--timeframe", choices=TIMEFRAMES, help="length of a bar; default: the setting")
    train.add_argument("--data", type=typed.folder, metavar="DIR", help="take the bars from the files in this folder")
    train.add_argument("--trials", type=typed.whole(1, 10_000), default=50, metavar="N", help="recipes; default 50")
    train.add_argument("--seed", type=typed.whole(0, 2**31 - 1000), default=1, metavar="N", help="default 1")
    train.add_argument("--cluster", metavar="URL", help="let a Dask cluster do the work, e.g. tcp://127.0.0.1:8786")
    train.add_argument(
        "--memory", type=typed.whole(256, 1_000_000), default=1024, metavar="MB", help="of all processes; default 1024"
    )
    _state(train)


def _market_data(command: Any) -> None:
    load = command("import", "read bars from files (CSV, CSV.gz, Binance's own dumps) into the bar store")
    load.add_argument("files", nargs="+", metavar="FILE", type=typed.existing_file)
    load.add_argument("--symbol", type=typed.symbol, help="the pair, where the file's name does not say it")
    load.add_argument("--timeframe", choices=TIMEFRAMES, help="length of a bar, where the file does not say it")
    _state(load)
    fetch = command("fetch", "download bars from the exchange into the bar store")
    fetch.add_argument("pairs", nargs="+", metavar="SYMBOL", type=typed.symbol)
    fetch.add_argument("--timeframe", choices=TIMEFRAMES, help="length of a bar; default: the setting")
    fetch.add_argument("--since", type=typed.moment, required=True, metavar="DATE", help="first day, e.g. 2024-01-01")
    _state(fetch)
    bars = command("bars", "look at the bar store")
    bars.add_argument("what", choices=("list",), metavar="list", help="every symbol with its spans and holes")
    _state(bars)
    features = command("features", "show what a forecast sees of the stored bars, or export it")
    features.add_argument("symbol", type=typed.symbol, metavar="SYMBOL", help="the pair, e.g. BTCUSDT")
    features.add_argument("--last", type=typed.whole(1, 1_000_000), metavar="N", help="rows; default: 5, CSV: all")
    features.add_argument(
        "--csv", type=typed.written, metavar="FILE", help="write CSV into this file, or to - (standard output)"
    )
    features.add_argument("--timeframe", choices=TIMEFRAMES, help="length of a bar; default: the setting")
    _state(features)


def _standing_alone(command: Any) -> None:
    exchange = command("exchange", "serve the simulated exchange alone, for any Binance client")
    _market(exchange)
    exchange.add_argument(
        "--faults", type=typed.faults, metavar="SEED[:SHARE]", help="fail in this share of the requests; default 0.15"
    )
    _port(exchange)
    _state(exchange)
    chat = command("chat-server", "serve the local Bot API alone, for any Telegram bot")
    _port(chat)
    _state(chat)


def _market(parser: Parser) -> None:
    seeded = typed.MarketChoice("seeded")
    parser.add_argument("--market", type=typed.market, default=seeded, help="seeded (default) or recorded:DIR")
    parser.add_argument("--symbols", help="pairs, comma-separated; default: the setting")
    parser.add_argument("--timeframe", choices=TIMEFRAMES, help="length of a bar; default: the setting")
    parser.add_argument("--from", dest="start", type=typed.moment, metavar="DATE", help="first bar, e.g. 2022-01-01")
    parser.add_argument("--speed", type=typed.speed, metavar="X|max", help="market seconds a real second, or max")
    parser.add_argument("--seed", type=typed.whole(0, 2**63 - 1), default=1, help="of the seeded market; default 1")


def _port(parser: Parser) -> None:
    parser.add_argument(
        "--port", type=typed.whole(0, 65_535), default=0, help="on 127.0.0.1; 0 (default): any free one"
    )


def _vault(parser: Parser, default: str | None = None) -> None:
    parser.add_argument(
        "--passphrase-fd",
        type=typed.descriptor,
        default=default,
        metavar="N",
        help="read the vault's passphrases here, one a line",
    )


def _state(parser: Parser, default: str | None = None) -> None:
    parser.add_argument(
        "--state", type=typed.folder, default=default, metavar="DIR", help="state folder; default: FIRSTMATE_HOME"
    )
