-- Whose tasks are whose, how many of a caller's wait, and who changed what.

-- How the caller who submitted it is called. Empty: the service's own user, whose are all from before. Nothing below
-- costs anything for these: most services have one user.
ALTER TABLE tasks ADD COLUMN owner TEXT NOT NULL DEFAULT '';

CREATE INDEX tasks_by_owner ON tasks (owner) WHERE owner <> '';

-- Submission keys are each caller's own: nobody learns of another's, or gets in the way.
DROP INDEX tasks_key;
CREATE UNIQUE INDEX tasks_key ON tasks (key, owner) WHERE key IS NOT NULL;

-- How many tasks of an owner have neither started nor ended, kept with every change.
CREATE TABLE waiting_counts (
    owner TEXT    PRIMARY KEY CHECK (owner <> ''),
    tasks INTEGER NOT NULL CHECK (tasks >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER waiting_counted_in AFTER INSERT ON tasks
WHEN new.owner <> '' AND new.finished_at_us IS NULL AND new.state <> 'running'
BEGIN
    INSERT INTO waiting_counts (owner, tasks) VALUES (new.owner, 1)
    ON CONFLICT (owner) DO UPDATE SET tasks = tasks + 1;
END;

CREATE TRIGGER waiting_counted_over AFTER UPDATE OF state ON tasks
WHEN new.owner <> '' AND (old.finished_at_us IS NULL AND old.state <> 'running')
    <> (new.finished_at_us IS NULL AND new.state <> 'running')
BEGIN
    UPDATE waiting_counts SET tasks = tasks + CASE WHEN new.finished_at_us IS NULL AND new.state <> 'running'
        THEN 1 ELSE -1 END
    WHERE owner = new.owner;
END;

CREATE TRIGGER waiting_counted_out AFTER DELETE ON tasks
WHEN old.owner <> '' AND old.finished_at_us IS NULL AND old.state <> 'running'
BEGIN
    UPDATE waiting_counts SET tasks = tasks - 1 WHERE owner = old.owner;
END;

-- Whose those tasks were that are gone while events still tell of them. `deleted` is the last that is told of a task.
CREATE TABLE departed (
    task  INTEGER PRIMARY KEY,
    owner TEXT    NOT NULL CHECK (owner <> '')
) STRICT;

CREATE TRIGGER tasks_departed AFTER DELETE ON tasks WHEN old.owner <> '' BEGIN
    INSERT INTO departed (task, owner) VALUES (old.seq, old.owner);
END;

CREATE TRIGGER departed_forgotten AFTER DELETE ON events WHEN old.event = 'deleted' BEGIN
    DELETE FROM departed WHERE task = old.task;
END;

-- Who changed what, and who was refused. Nothing of it is changed; what goes are the oldest, in their order, and never
-- the last thousand: so there are no holes, and ids never come back. No object is a command's text.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at_us   INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    role    TEXT    NOT NULL,
    "where" TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    object  TEXT    NOT NULL,
    outcome TEXT    NOT NULL
) STRICT;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit is not changed');
END;

CREATE TRIGGER audit_goes_in_order BEFORE DELETE ON audit
WHEN old.id > (SELECT max(id) FROM audit) - 1000 OR EXISTS (SELECT 1 FROM audit WHERE id < old.id)
BEGIN
    SELECT raise(ABORT, 'the audit is kept');
END;
