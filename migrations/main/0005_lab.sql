-- What models forecast and what became of it (core/adapters/lab_records.py).
-- One bet a bar close, symbol and bar length; champion and challenger bet on the same one.
CREATE TABLE lab_bets (
    bet_id   INTEGER PRIMARY KEY,
    span_ms  INTEGER NOT NULL,
    open_ms  INTEGER NOT NULL,      -- open time of the deciding bar
    symbol   TEXT NOT NULL,
    win      REAL NOT NULL,         -- moves as fractions of the entry price
    loss     REAL NOT NULL,
    horizon  INTEGER NOT NULL,      -- bars
    ended_ms INTEGER,               -- open time of the bar in which it ended; NULL: not settled
    outcome  REAL,                  -- part of a win, 0..1
    UNIQUE (span_ms, open_ms, symbol)
);
CREATE INDEX lab_bets_pending ON lab_bets (span_ms, symbol, open_ms) WHERE ended_ms IS NULL;

CREATE TABLE lab_forecasts (
    model_id TEXT NOT NULL,
    bet_id   INTEGER NOT NULL,
    role     TEXT NOT NULL,         -- champion, challenger
    p        REAL NOT NULL,
    p_low    REAL NOT NULL,
    PRIMARY KEY (model_id, bet_id)
) WITHOUT ROWID;

-- The features behind a bet, float64 little-endian: kept for some weeks only.
CREATE TABLE lab_rows (
    bet_id INTEGER PRIMARY KEY,
    x      BLOB NOT NULL
);

-- What the lab must know after a restart: one JSON text a name.
CREATE TABLE lab_memory (
    name TEXT PRIMARY KEY,
    said TEXT NOT NULL
) WITHOUT ROWID;
