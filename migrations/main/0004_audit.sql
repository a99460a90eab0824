-- Who did what, in order; each row carries the hash of the row before it (core/adapters/audit.py).
-- No unique key but seq: INSERT OR REPLACE deletes what it clashes with, and fires no DELETE trigger while doing so.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,          -- owner:ID, machine, terminal:USER
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,          -- canonical JSON
    prev    TEXT NOT NULL,          -- hash of the row before, for the first one the origin
    hash    TEXT NOT NULL           -- SHA-256 over all of the above and the origin, hex
);

-- Where the chain of this database begins: no two have the same, so no row of one fits into another.
CREATE TABLE audit_origin (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL
);
INSERT INTO audit_origin VALUES (1, lower(hex(randomblob(32))));

CREATE TRIGGER audit_follows BEFORE INSERT ON audit
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    OR NEW.prev IS NOT coalesce((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1), (SELECT origin FROM audit_origin))
BEGIN
    SELECT RAISE(ABORT, 'an audit row must continue the chain');
END;

CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit row is never changed');
END;

CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit row is never deleted');
END;

CREATE TRIGGER audit_origin_is_one BEFORE INSERT ON audit_origin
BEGIN
    SELECT RAISE(ABORT, 'the audit has one origin');
END;

CREATE TRIGGER audit_origin_stays_as_it_is BEFORE UPDATE ON audit_origin
BEGIN
    SELECT RAISE(ABORT, 'the origin of the audit is never changed');
END;

CREATE TRIGGER audit_origin_stays BEFORE DELETE ON audit_origin
BEGIN
    SELECT RAISE(ABORT, 'the origin of the audit is never deleted');
END;
