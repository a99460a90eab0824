-- The paper account: the matching engine's book after its last change, JSON.
CREATE TABLE paper (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    body BLOB NOT NULL
);
