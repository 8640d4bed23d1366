-- What tasks wrote, in the chunks it was read in. The bytes are sealed by the executor and kept as they come.
--
-- One numbering 1, 2, 3 ... over both streams of an attempt, in the order they were read; offsets count per stream, in
-- clear. `data` is the last column, so that lengths are read without touching it.

CREATE TABLE chunks (
    attempt_id INTEGER NOT NULL CHECK (attempt_id > 0),
    number     INTEGER NOT NULL CHECK (number > 0),
    stream     INTEGER NOT NULL CHECK (stream IN (1, 2)),
    offset     INTEGER NOT NULL CHECK (offset >= 0),
    length     INTEGER NOT NULL CHECK (length >= 0),
    data       BLOB    NOT NULL,
    UNIQUE (attempt_id, number)
) STRICT;
