-- What tsched knows of tasks, their attempts and the executors that carry them.
--
-- Instants are integer microseconds UTC. What may name a secret is sealed (payloads, messages); ids, names, queues,
-- states, times and numbers are in clear, because the queue must search them.
-- CHECKs compare with `=` and OR, for an IN of more than two builds a table at each evaluation, six times the cost of a
-- whole update. The partial indexes follow the ORDER BY of their query, so that what is not looked for costs nothing.

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL CHECK (value >= 0)
) STRICT, WITHOUT ROWID;

-- The last number given to a task: its seq, and its id where the user chose none.
INSERT INTO counters (name, value) VALUES ('id', 0);

CREATE TABLE executors (
    id            TEXT    PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    secret_hash   BLOB    NOT NULL,
    pid           INTEGER NOT NULL,
    start_ticks   INTEGER NOT NULL,
    boot_id       TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    started_at_us INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('present', 'gone')),
    gone_at_us    INTEGER,
    CHECK ((gone_at_us IS NOT NULL) = (state = 'gone'))
) STRICT, WITHOUT ROWID;

CREATE INDEX executors_present ON executors (started_at_us, id) WHERE state = 'present';

-- The marks by which everything a runner starts can be found, stored before it takes a task.
CREATE TABLE runners (
    executor        TEXT    NOT NULL REFERENCES executors (id) ON DELETE CASCADE,
    pid             INTEGER NOT NULL CHECK (pid > 0),
    start_ticks     INTEGER NOT NULL,
    mount_namespace INTEGER NOT NULL CHECK (mount_namespace >= 0),
    up_at_us        INTEGER NOT NULL,
    PRIMARY KEY (executor, pid, start_ticks)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
    seq                    INTEGER PRIMARY KEY CHECK (seq > 0),
    id                     TEXT    NOT NULL UNIQUE
                           CHECK (length(id) BETWEEN 1 AND 128 AND id NOT GLOB '*[^A-Za-z0-9._:-]*'),
    key                    TEXT,
    content                BLOB    NOT NULL,
    name                   TEXT    NOT NULL,
    kind                   TEXT    NOT NULL CHECK (kind <> ''),
    queue                  TEXT    NOT NULL CHECK (queue <> ''),
    priority               INTEGER NOT NULL,
    state                  TEXT    NOT NULL,
    created_at_us          INTEGER NOT NULL,
    due_at_us              INTEGER NOT NULL,
    finished_at_us         INTEGER,
    attempt                INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempt_id             INTEGER REFERENCES attempts (id),
    max_attempts           INTEGER NOT NULL CHECK (max_attempts >= 1),
    timeout_us             INTEGER CHECK (timeout_us > 0),
    grace_us               INTEGER NOT NULL CHECK (grace_us >= 0),
    on_lost                TEXT    NOT NULL 
                           CHECK (on_lost = 'fail' OR on_lost = 'retry' OR on_lost = 'hold'),
    profile                TEXT    NOT NULL,
    output_cap_bytes       INTEGER NOT NULL CHECK (output_cap_bytes >= 0),
    cancel_requested_at_us INTEGER,
    reason                 TEXT,
    message                BLOB,
    schedule               TEXT,
    scheduled_for_us       INTEGER,
    retry_of               TEXT,
    -- a state that exists; finished exactly when it is final
    CHECK (CASE WHEN finished_at_us IS NULL
        THEN state = 'ready' OR state = 'running' OR state = 'scheduled' OR state = 'retrying' OR state = 'blocked'
            OR state = 'held'
        ELSE state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'skipped' END),
    CHECK ((attempt_id IS NOT NULL) = (state = 'running')),
    CHECK (attempt > 0 OR (state <> 'running' AND state <> 'succeeded')),
    CHECK (cancel_requested_at_us IS NULL OR state = 'running' OR finished_at_us IS NOT NULL),
    CHECK (reason IS NULL OR (finished_at_us IS NOT NULL AND state <> 'succeeded')),
    CHECK (message IS NULL OR reason IS NOT NULL),
    CHECK ((scheduled_for_us IS NOT NULL) = (schedule IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX tasks_key      ON tasks (key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX tasks_attempt  ON tasks (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE INDEX        tasks_ready    ON tasks (queue, priority DESC, due_at_us) WHERE state = 'ready';
CREATE INDEX        tasks_future   ON tasks (due_at_us) WHERE state IN ('scheduled', 'retrying');
CREATE INDEX        tasks_finished ON tasks (finished_at_us) WHERE finished_at_us IS NOT NULL;
CREATE INDEX        tasks_by_state ON tasks (state);
CREATE INDEX        tasks_by_queue ON tasks (queue);

-- Apart from the task, so that a change of state rewrites no blob.
CREATE TABLE payloads (
    task     INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    revision INTEGER NOT NULL CHECK (revision >= 0),
    sealed   BLOB    NOT NULL
) STRICT;

-- One try of a task. `id` fences every write about it and never comes back; `number` is what people see.
CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    task           INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    number         INTEGER NOT NULL CHECK (number >= 1),
    executor       TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    due_at_us      INTEGER NOT NULL,
    claimed_at_us  INTEGER NOT NULL,
    started_at_us  INTEGER,
    finished_at_us INTEGER,
    pid            INTEGER,
    start_ticks    INTEGER,
    exit_code      INTEGER,
    signal         INTEGER,
    reason         TEXT    NOT NULL DEFAULT '',
    message        BLOB,
    cpu_s          REAL,
    peak_bytes     INTEGER,
    stdout_bytes   INTEGER NOT NULL DEFAULT 0 CHECK (stdout_bytes >= 0),
    stderr_bytes   INTEGER NOT NULL DEFAULT 0 CHECK (stderr_bytes >= 0),
    dropped_bytes  INTEGER NOT NULL DEFAULT 0 CHECK (dropped_bytes >= 0),
    leftovers      INTEGER NOT NULL DEFAULT 0 CHECK (leftovers >= 0),
    UNIQUE (task, number),
    -- a state that exists; finished exactly when it is final
    CHECK (CASE WHEN finished_at_us IS NULL
        THEN state = 'claimed' OR state = 'running' OR state = 'stopping'
        ELSE state = 'succeeded' OR state = 'failed' OR state = 'timed_out' OR state = 'cancelled' OR state = 'lost' END),
    CHECK (state <> 'claimed' OR started_at_us IS NULL),
    CHECK (state <> 'running' OR (started_at_us IS NOT NULL AND pid IS NOT NULL)),
    CHECK (reason = '' OR finished_at_us IS NOT NULL)
) STRICT;

-- Never two live attempts of one task.
CREATE UNIQUE INDEX attempts_one_live ON attempts (task) WHERE finished_at_us IS NULL;
CREATE INDEX attempts_live ON attempts (executor) WHERE finished_at_us IS NULL;

-- What is final stays as it is.
CREATE TRIGGER tasks_final BEFORE UPDATE OF state ON tasks WHEN old.finished_at_us IS NOT NULL BEGIN
    SELECT raise(ABORT, 'a finished task changes no more');
END;

CREATE TRIGGER attempts_final BEFORE UPDATE OF state ON attempts WHEN old.finished_at_us IS NOT NULL BEGIN
    SELECT raise(ABORT, 'a finished attempt changes no more');
END;

-- Attempts that are gone while their output may still be in the other file: deleted there next, then here.
CREATE TABLE dropped (
    attempt_id INTEGER PRIMARY KEY
) STRICT;

CREATE TRIGGER attempts_dropped AFTER DELETE ON attempts WHEN old.state <> 'claimed' BEGIN
    INSERT INTO dropped (attempt_id) VALUES (old.id);
END;

-- How many tasks are in each state, kept with every change, so that asking costs ten rows.
CREATE TABLE task_counts (
    state TEXT    PRIMARY KEY,
    tasks INTEGER NOT NULL CHECK (tasks >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO task_counts (state, tasks) VALUES
    ('scheduled', 0), ('blocked', 0), ('ready', 0), ('running', 0), ('retrying', 0), ('held', 0),
    ('succeeded', 0), ('failed', 0), ('cancelled', 0), ('skipped', 0);

CREATE TRIGGER tasks_counted_in AFTER INSERT ON tasks BEGIN
    UPDATE task_counts SET tasks = tasks + 1 WHERE state = new.state;
END;

CREATE TRIGGER tasks_counted_out AFTER DELETE ON tasks BEGIN
    UPDATE task_counts SET tasks = tasks - 1 WHERE state = old.state;
END;

CREATE TRIGGER tasks_counted_over AFTER UPDATE OF state ON tasks WHEN old.state <> new.state BEGIN
    UPDATE task_counts SET tasks = tasks - 1 WHERE state = old.state;
    UPDATE task_counts SET tasks = tasks + 1 WHERE state = new.state;
END;
