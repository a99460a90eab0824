-- What happened, in order, with what it caused. Nothing in here is ever changed.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    trace   TEXT NOT NULL,
    body    TEXT NOT NULL,          -- the event, JSON
    key     TEXT UNIQUE,            -- what can happen once only: a bar, a fill, a command
    effects TEXT NOT NULL           -- JSON list of [kind, body]
);

-- Whole states, from which the journal can be stepped again.
CREATE TABLE snapshots (
    seq  INTEGER PRIMARY KEY,
    body TEXT NOT NULL
);

-- The state after the newest journal line, a row a field; for mappings a row a key, in rowid order.
CREATE TABLE state_parts (
    part TEXT NOT NULL,
    key  TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (part, key)
);

-- Money, prices and quantities below are exact decimal text.
CREATE TABLE orders (
    client_id    TEXT PRIMARY KEY,
    symbol       TEXT NOT NULL,
    side         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    qty          TEXT NOT NULL,
    price        TEXT,
    stop_price   TEXT,
    state        TEXT NOT NULL,
    filled_qty   TEXT NOT NULL,
    filled_quote TEXT NOT NULL,
    exchange_id  TEXT NOT NULL,
    list_id      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL
);

CREATE TABLE fills (
    symbol    TEXT NOT NULL,
    trade_id  TEXT NOT NULL,
    client_id TEXT NOT NULL,
    side      TEXT NOT NULL,
    qty       TEXT NOT NULL,
    price     TEXT NOT NULL,
    fee       TEXT NOT NULL,
    fee_asset TEXT NOT NULL,
    maker     INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (symbol, trade_id)
);

CREATE TABLE trades (
    seq         INTEGER NOT NULL,
    symbol      TEXT NOT NULL,
    intent      TEXT NOT NULL,
    qty         TEXT NOT NULL,
    entry_price TEXT NOT NULL,
    exit_price  TEXT NOT NULL,
    profit      TEXT NOT NULL,
    fees        TEXT NOT NULL,      -- JSON list of [asset, amount]
    dust        TEXT NOT NULL,
    opened_ms   INTEGER NOT NULL,
    closed_ms   INTEGER NOT NULL,
    bars_held   INTEGER NOT NULL,
    why         TEXT NOT NULL
);

CREATE TABLE signals (
    seq         INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    symbol      TEXT NOT NULL,
    bar_open_ms INTEGER NOT NULL,
    price       TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    code        TEXT NOT NULL,      -- why no order follows; empty where one does
    sentence    TEXT NOT NULL,
    numbers     TEXT NOT NULL,      -- JSON list of [name, value]
    forecast    TEXT,               -- JSON
    steps       TEXT NOT NULL,      -- JSON, how it was sized
    qty         TEXT NOT NULL,
    stop        TEXT NOT NULL,
    target      TEXT NOT NULL,
    intent      TEXT NOT NULL
);
CREATE INDEX signals_by_symbol ON signals (symbol, bar_open_ms);

CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    seq        INTEGER NOT NULL,
    topic      TEXT NOT NULL,
    ref        TEXT NOT NULL,
    body       TEXT NOT NULL,       -- the message, JSON
    at_ms      INTEGER NOT NULL,
    trace      TEXT NOT NULL,
    sent_ms    INTEGER,
    message_id INTEGER
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE sent_ms IS NULL;
CREATE INDEX outbox_by_ref ON outbox (topic, ref, id) WHERE message_id > 0;

-- Chat updates that were answered, so that none is answered twice.
CREATE TABLE updates (
    update_id INTEGER PRIMARY KEY,
    at_ms     INTEGER NOT NULL,
    said      TEXT NOT NULL DEFAULT ''   -- the command it held
);
