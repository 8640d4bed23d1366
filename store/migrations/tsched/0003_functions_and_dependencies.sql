-- Functions: their results, their progress, further attempts after a delay; and tasks that wait for others.

-- Such tasks run beside each other in one runner.
ALTER TABLE tasks ADD COLUMN shared INTEGER NOT NULL DEFAULT 0 CHECK (shared = 0 OR shared = 1);
-- Before the second attempt; it doubles with each further one.
ALTER TABLE tasks ADD COLUMN retry_delay_us INTEGER NOT NULL DEFAULT 1000000 CHECK (retry_delay_us >= 0);
-- How many tasks have to end before this one may start, counted down by those that end. What is held keeps count; what
-- ended while it waited keeps what was left.
ALTER TABLE tasks ADD COLUMN waits_for INTEGER NOT NULL DEFAULT 0 CHECK (
    CASE WHEN waits_for = 0 THEN state <> 'blocked'
    ELSE waits_for > 0 AND (state = 'blocked' OR state = 'held' OR finished_at_us IS NOT NULL) END
);

DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (shared, queue, priority DESC, due_at_us) WHERE state = 'ready';

-- What a task waits for, or waited for, in the order it was asked for. `parent` is the seq of the other task: seqs never
-- come back, so one that is not there is gone for ever, and its id stays to be shown. `met`: unknown until the other has
-- ended, then whether that was as the condition says.
CREATE TABLE dependencies (
    task         INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    position     INTEGER NOT NULL CHECK (position >= 0),
    parent       INTEGER NOT NULL CHECK (parent > 0 AND parent <> task),
    parent_id    TEXT    NOT NULL,
    condition    TEXT    NOT NULL CHECK (condition = 'ok' OR condition = 'fail' OR condition = 'any'),
    wants_result INTEGER NOT NULL CHECK (wants_result = 0 OR wants_result = 1),
    met          INTEGER CHECK (met IS NULL OR met = 0 OR met = 1),
    PRIMARY KEY (task, position)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX dependencies_of ON dependencies (parent, task);

-- What functions returned. The attempt that did takes the place of a revision.
CREATE TABLE results (
    task       INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    attempt_id INTEGER NOT NULL CHECK (attempt_id > 0),
    sealed     BLOB    NOT NULL
) STRICT;

-- How far attempts said that they are. Apart from them, for most never say.
CREATE TABLE progress (
    attempt_id INTEGER PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
    at_us      INTEGER NOT NULL,
    done       REAL    NOT NULL,
    total      REAL,
    text       BLOB
) STRICT;

-- A task may be finished from the first, because of one that it was to wait for.
DROP TRIGGER events_submitted;
CREATE TRIGGER events_submitted AFTER INSERT ON tasks BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    VALUES (
        new.created_at_us, new.seq, new.id, 'submitted', new.state, new.attempt, coalesce(new.reason, ''), new.queue
    );
END;

-- As before; what becomes scheduled was released by a person, or by the last task that it waited for.
DROP TRIGGER events_moved;
CREATE TRIGGER events_moved AFTER UPDATE OF state ON tasks
WHEN new.state <> old.state AND new.state <> 'running'
    AND (old.state <> 'running' OR new.attempt = old.attempt OR new.finished_at_us IS NOT NULL)
    AND (new.state <> 'scheduled' OR old.state = 'held' OR old.state = 'blocked')
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    VALUES (
        coalesce(new.finished_at_us, new.changed_at_us), new.seq, new.id,
        CASE new.state WHEN 'scheduled' THEN 'released' ELSE new.state END, new.state, new.attempt,
        CASE WHEN new.state = 'succeeded' THEN '' ELSE coalesce(new.reason, CASE WHEN old.state = 'running'
            THEN (SELECT reason FROM attempts WHERE task = new.seq AND number = new.attempt) END, '') END,
        new.queue
    );
END;
