-- One history: a symbol at a bar length. `sources` are the words for where its bars came from.
CREATE TABLE series (
    id      INTEGER PRIMARY KEY,
    symbol  TEXT NOT NULL,
    span_ms INTEGER NOT NULL,
    sources TEXT NOT NULL,
    UNIQUE (symbol, span_ms)
);

-- Sealed stretches, oldest first, never overlapping: columns of int64 and float64 in the machine's own byte order.
CREATE TABLE chunks (
    series   INTEGER NOT NULL REFERENCES series (id),
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    body     BLOB NOT NULL,      -- open_ms, open, high, low, close, volume, one column after the other
    PRIMARY KEY (series, last_ms)
);

-- Recent bars, newer than every chunk of their series, sealed once they fill one.
CREATE TABLE tail (
    series  INTEGER NOT NULL REFERENCES series (id),
    open_ms INTEGER NOT NULL,
    open    REAL NOT NULL,
    high    REAL NOT NULL,
    low     REAL NOT NULL,
    close   REAL NOT NULL,
    volume  REAL NOT NULL,
    PRIMARY KEY (series, open_ms)
) WITHOUT ROWID;

-- Feature state after the bar that opened at open_ms.
CREATE TABLE folds (
    symbol  TEXT NOT NULL,
    span_ms INTEGER NOT NULL,
    version TEXT NOT NULL,
    open_ms INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (symbol, span_ms)
);
