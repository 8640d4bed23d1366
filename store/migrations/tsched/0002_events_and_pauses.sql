-- What happened to tasks, for who follows; attempts that stand still; tasks a person holds.

-- Pausing ends with the attempt; the total stays.
ALTER TABLE attempts ADD COLUMN paused_at_us INTEGER
    CHECK (paused_at_us IS NULL OR (finished_at_us IS NULL AND started_at_us IS NOT NULL));
ALTER TABLE attempts ADD COLUMN paused_us INTEGER NOT NULL DEFAULT 0 CHECK (paused_us >= 0);

-- When a task that is not final was changed last. It is how the triggers below know the time: the statement that makes a
-- change says when, in the row it writes anyway. A function of ours would need a schema that is trusted, a row for the
-- time would be written by every commit, and SQLite's own clock is not the one the service has.
ALTER TABLE tasks ADD COLUMN changed_at_us INTEGER NOT NULL DEFAULT 0;

-- `id` is the cursor: it only grows and never comes back. Triggers write it, so that no change can be forgotten; the
-- words are those of proto/api.proto. An ordinary task costs three rows: a claim and its return are nobody's business.
-- Not bound to tasks, for it tells of their deletion too.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us   INTEGER NOT NULL,
    task    INTEGER NOT NULL,
    task_id TEXT    NOT NULL,
    event   TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    queue   TEXT    NOT NULL
) STRICT;

CREATE TRIGGER events_submitted AFTER INSERT ON tasks BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    VALUES (new.created_at_us, new.seq, new.id, 'submitted', new.state, new.attempt, '', new.queue);
END;

-- Where it goes when it leaves `running`, its attempt knows why. It leaves with a smaller number where it was handed
-- back. What is edited to a later time is told of by the edit; what becomes scheduled otherwise was released.
CREATE TRIGGER events_moved AFTER UPDATE OF state ON tasks
WHEN new.state <> old.state AND new.state <> 'running'
    AND (old.state <> 'running' OR new.attempt = old.attempt OR new.finished_at_us IS NOT NULL)
    AND (new.state <> 'scheduled' OR old.state = 'held')
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

CREATE TRIGGER events_modified AFTER UPDATE OF name, priority, due_at_us, timeout_us, grace_us ON tasks
WHEN new.state = old.state AND new.state <> 'running'
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    VALUES (new.changed_at_us, new.seq, new.id, 'modified', new.state, new.attempt, '', new.queue);
END;

CREATE TRIGGER events_deleted AFTER DELETE ON tasks BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    VALUES (old.changed_at_us, old.seq, old.id, 'deleted', old.state, old.attempt, '', old.queue);
END;

-- Before, so that the start of an attempt that is heard of only with its end is told of first.
CREATE TRIGGER events_started BEFORE UPDATE OF started_at_us ON attempts
WHEN old.started_at_us IS NULL AND new.started_at_us IS NOT NULL
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    SELECT new.started_at_us, seq, id, 'started', state, new.number, '', queue FROM tasks WHERE seq = new.task;
END;

CREATE TRIGGER events_stopping AFTER UPDATE OF state ON attempts
WHEN new.state = 'stopping' AND old.state <> 'stopping'
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    SELECT changed_at_us, seq, id, 'stopping', state, new.number, '', queue FROM tasks WHERE seq = new.task;
END;

-- It goes on after what was added to its total.
CREATE TRIGGER events_paused AFTER UPDATE OF paused_at_us ON attempts
WHEN (old.paused_at_us IS NULL) <> (new.paused_at_us IS NULL) AND new.finished_at_us IS NULL
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    SELECT coalesce(new.paused_at_us, old.paused_at_us + new.paused_us - old.paused_us), seq, id,
        CASE WHEN new.paused_at_us IS NULL THEN 'resumed' ELSE 'paused' END, state, new.number, '', queue
    FROM tasks WHERE seq = new.task;
END;

-- After a success the task's own end says it all.
CREATE TRIGGER events_attempt_ended AFTER UPDATE OF state ON attempts
WHEN old.finished_at_us IS NULL AND new.finished_at_us IS NOT NULL AND new.state <> 'succeeded'
BEGIN
    INSERT INTO events (at_us, task, task_id, event, state, attempt, reason, queue)
    SELECT new.finished_at_us, seq, id, 'attempt_ended', new.state, new.number, new.reason, queue
    FROM tasks WHERE seq = new.task;
END;
