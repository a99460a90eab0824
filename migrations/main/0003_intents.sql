-- One decision is one key: a second order to enter on the same closed bar cannot be written.
CREATE TABLE intents (
    strategy    TEXT NOT NULL,      -- what decided: the forecast's model
    symbol      TEXT NOT NULL,
    bar_open_ms INTEGER NOT NULL,
    side        TEXT NOT NULL,
    client_id   TEXT NOT NULL,      -- the entry's
    deadline_ms INTEGER,            -- after this it must not be sent any more
    PRIMARY KEY (strategy, symbol, bar_open_ms, side)
);

-- The newest comparison of our books with the exchange's, JSON, for whoever asks beside the running assistant.
CREATE TABLE reconciliation (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    at_ms INTEGER NOT NULL,
    body  TEXT NOT NULL
);
