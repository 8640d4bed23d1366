-- What may name a secret is sealed: under which key, and how far that has come.

-- One row once a key was ever used here. `key_id`: the key under which everything is, empty where some or all is in
-- clear. `sealed` holds what is only of use with that key; its own head says which one opens it.
CREATE TABLE sealing (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    key_id BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- The key under which an executor seals output, sealed; null for one that seals nothing.
ALTER TABLE executors ADD COLUMN data_key BLOB;
