-- Claims: from ready to an executor, and what becomes of it there. The fence of every write is the attempt's id.
-- What is told of many attempts comes as rows of VALUES. `+` keeps the index of a state out of it: one is found by its key.

-- first_ready: the first ready tasks of a lane, in their order, with what is needed to run them
SELECT t.seq, t.id AS task_id, t.attempt + 1 AS number, t.queue, t.timeout_us, t.grace_us, t.due_at_us,
    t.scheduled_for_us, t.profile, t.output_cap_bytes, t.kind, t.shared, t.max_attempts, t.owner,
    p.revision, p.sealed,
    EXISTS (SELECT 1 FROM dependencies AS d WHERE d.task = t.seq AND d.wants_result = 1) AS wants_results
FROM tasks AS t INDEXED BY tasks_ready LEFT JOIN payloads AS p ON p.task = t.seq
WHERE t.state = 'ready' AND t.shared = :shared AND t.queue = :queue ORDER BY t.priority DESC, t.due_at_us, t.seq LIMIT :limit

-- claim_attempts: an attempt for each of some ready tasks, in the given order
-- from: new
-- to: claimed
INSERT INTO attempts (task, number, executor, state, due_at_us, claimed_at_us)
SELECT t.seq, t.attempt + 1, :executor, 'claimed', t.due_at_us, :now_us
FROM json_each(:seqs) AS given CROSS JOIN tasks AS t ON t.seq = given.value
WHERE +t.state = 'ready'
RETURNING id, task

-- claim_tasks: the tasks of the attempts just made are running
-- from: ready
-- to: running
UPDATE tasks SET state = 'running', attempt = claim.number, attempt_id = claim.id
FROM (SELECT id, task, number FROM attempts WHERE id >= :first AND state = 'claimed') AS claim
WHERE seq = claim.task AND +tasks.state = 'ready'

-- skip_attempt_ids: the next attempt gets an id above this one
UPDATE sqlite_sequence SET seq = :newest WHERE name = 'attempts' AND seq < :newest

-- begin_attempt_ids: the same, where there was no attempt yet
INSERT INTO sqlite_sequence (name, seq) SELECT 'attempts', :newest
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'attempts')

-- ready_count: how many tasks of a lane are ready, counted no further than a limit
SELECT count(*) AS ready FROM (
    SELECT 1 FROM tasks INDEXED BY tasks_ready
    WHERE state = 'ready' AND shared = :shared AND queue = :queue LIMIT :limit
)

-- ahead_of: how many ready tasks of its lane are given out before one, counted no further than a limit
SELECT count(*) AS ahead FROM (
    SELECT 1 FROM tasks INDEXED BY tasks_ready
    WHERE state = 'ready' AND shared = :shared AND queue = :queue AND priority > :priority
    UNION ALL
    SELECT 1 FROM tasks INDEXED BY tasks_ready
    WHERE state = 'ready' AND shared = :shared AND queue = :queue AND priority = :priority AND due_at_us < :due_at_us
    UNION ALL
    SELECT 1 FROM tasks INDEXED BY tasks_ready
    WHERE state = 'ready' AND shared = :shared AND queue = :queue AND priority = :priority AND due_at_us = :due_at_us
        AND seq < :seq
    LIMIT :limit
)

-- queues_with_ready: the lanes that have something to give, one step of the index each
WITH RECURSIVE lane (shared, queue) AS (
    SELECT kind.shared, (
        SELECT queue FROM tasks INDEXED BY tasks_ready
        WHERE state = 'ready' AND tasks.shared = kind.shared ORDER BY queue LIMIT 1
    )
    FROM (SELECT 0 AS shared UNION ALL SELECT 1) AS kind
    UNION ALL
    SELECT lane.shared, (
        SELECT queue FROM tasks INDEXED BY tasks_ready
        WHERE state = 'ready' AND tasks.shared = lane.shared AND queue > lane.queue ORDER BY queue LIMIT 1
    )
    FROM lane WHERE lane.queue IS NOT NULL
)
SELECT queue, shared FROM lane WHERE queue IS NOT NULL

-- start_claimed: an attempt has started
-- from: claimed
-- to: running
WITH told (attempt_id, executor, pid, start_ticks, started_at_us) AS (
    VALUES (:attempt_id, :executor, :pid, :start_ticks, :started_at_us)
)
UPDATE attempts
SET state = 'running', pid = told.pid, start_ticks = told.start_ticks, started_at_us = told.started_at_us
FROM told WHERE attempts.id = told.attempt_id AND attempts.executor = told.executor AND +attempts.state = 'claimed'

-- start_stopping: an attempt had started before it heard that it is to end
-- from: stopping
-- to: stopping
UPDATE attempts SET pid = :pid, start_ticks = :start_ticks, started_at_us = :started_at_us
WHERE id = :attempt_id AND executor = :executor AND state = 'stopping' AND started_at_us IS NULL

-- pause_attempt: an attempt stands still from an instant on, or goes on
UPDATE attempts SET paused_at_us = :paused_at_us, paused_us = :paused_us
WHERE id = :attempt_id AND executor = :executor AND finished_at_us IS NULL AND started_at_us IS NOT NULL

-- note_progress: how far an attempt says that it is
INSERT INTO progress (attempt_id, at_us, done, total, text)
SELECT id, :at_us, :done, :total, :text FROM attempts
WHERE id = :attempt_id AND executor = :executor AND finished_at_us IS NULL
ON CONFLICT (attempt_id) DO UPDATE
SET at_us = excluded.at_us, done = excluded.done, total = excluded.total, text = excluded.text

-- stop_attempt: an attempt is to end
-- from: claimed running
-- to: stopping
UPDATE attempts SET state = 'stopping' WHERE id = :attempt_id AND state IN ('claimed', 'running')

-- live_among: those of the given attempts that have not ended
SELECT a.id, a.task AS seq, a.number, t.id AS task_id, a.state, a.executor, a.started_at_us, t.on_lost, t.queue,
    t.due_at_us, t.cancel_requested_at_us, t.kind, t.shared, t.max_attempts, t.retry_delay_us,
    CASE WHEN a.number > 1
        THEN (SELECT count(*) FROM attempts AS l WHERE l.task = a.task AND l.state = 'lost')
        ELSE 0 END AS lost_before,
    CASE WHEN a.number > 1
        THEN (
            SELECT count(*) FROM attempts AS l
            WHERE l.task = a.task AND (l.state = 'failed' OR l.state = 'timed_out') AND l.reason <> 'snoozed'
        )
        ELSE 0 END AS failed_before
FROM attempts AS a JOIN tasks AS t ON t.seq = a.task AND t.attempt_id = a.id
WHERE a.id IN (SELECT value FROM json_each(:attempt_ids)) AND a.finished_at_us IS NULL
ORDER BY a.id

-- live_of_executor: the attempts an executor holds
SELECT a.id, a.number, t.id AS task_id, t.shared, a.state, t.grace_us, t.cancel_requested_at_us
FROM attempts AS a INDEXED BY attempts_live JOIN tasks AS t ON t.seq = a.task
WHERE a.executor = :executor AND a.finished_at_us IS NULL
ORDER BY a.id

-- end_attempt: an attempt has ended; who does not know how long it stood still takes what is known here
-- from: claimed running stopping
-- to: succeeded failed timed_out cancelled lost
WITH told (
    attempt_id, state, finished_at_us, started_at_us, pid, exit_code, signal, reason, message, cpu_s, peak_bytes,
    stdout_bytes, stderr_bytes, dropped_bytes, leftovers, paused_us
) AS (
    VALUES (
        :attempt_id, :state, :finished_at_us, :started_at_us, :pid, :exit_code, :signal, :reason, :message, :cpu_s,
        :peak_bytes, :stdout_bytes, :stderr_bytes, :dropped_bytes, :leftovers, :paused_us
    )
)
UPDATE attempts SET state = told.state, finished_at_us = told.finished_at_us,
    started_at_us = coalesce(attempts.started_at_us, told.started_at_us), pid = coalesce(attempts.pid, told.pid),
    exit_code = told.exit_code, signal = told.signal, reason = told.reason, message = told.message,
    cpu_s = told.cpu_s, peak_bytes = told.peak_bytes, stdout_bytes = told.stdout_bytes,
    stderr_bytes = told.stderr_bytes, dropped_bytes = told.dropped_bytes, leftovers = told.leftovers,
    paused_at_us = NULL, paused_us = coalesce(
        told.paused_us, attempts.paused_us + coalesce(max(told.finished_at_us - attempts.paused_at_us, 0), 0)
    )
FROM told WHERE attempts.id = told.attempt_id AND +attempts.finished_at_us IS NULL

-- succeed_task: its attempt succeeded
-- from: running
-- to: succeeded
WITH told (seq, attempt_id, now_us) AS (VALUES (:seq, :attempt_id, :now_us))
UPDATE tasks SET state = 'succeeded', finished_at_us = told.now_us, attempt_id = NULL
FROM told WHERE tasks.seq = told.seq AND +tasks.state = 'running' AND +tasks.attempt_id = told.attempt_id

-- fail_task: its attempt failed, ran out of time, or was lost for good
-- from: running
-- to: failed
WITH told (seq, attempt_id, now_us) AS (VALUES (:seq, :attempt_id, :now_us))
UPDATE tasks SET state = 'failed', finished_at_us = told.now_us, attempt_id = NULL
FROM told WHERE tasks.seq = told.seq AND +tasks.state = 'running' AND +tasks.attempt_id = told.attempt_id

-- stop_task: its attempt was ended on request
-- from: running
-- to: cancelled
WITH told (seq, attempt_id, now_us) AS (VALUES (:seq, :attempt_id, :now_us))
UPDATE tasks SET state = 'cancelled', finished_at_us = told.now_us, attempt_id = NULL
FROM told WHERE tasks.seq = told.seq AND +tasks.state = 'running' AND +tasks.attempt_id = told.attempt_id

-- retry_task: its attempt failed, and it is to be tried again after a while; perhaps without counting this one
-- from: running
-- to: retrying
WITH told (seq, attempt_id, now_us, due_at_us, more) AS (VALUES (:seq, :attempt_id, :now_us, :due_at_us, :more))
UPDATE tasks SET state = 'retrying', due_at_us = told.due_at_us, changed_at_us = told.now_us, attempt_id = NULL,
    max_attempts = max_attempts + told.more
FROM told WHERE tasks.seq = told.seq AND +tasks.state = 'running' AND +tasks.attempt_id = told.attempt_id

-- stop_unfinished_task: it was to be ended on request; its attempt was lost, or asked to be tried again (as in retry_task)
-- from: running
-- to: cancelled
UPDATE tasks SET state = 'cancelled', finished_at_us = :now_us, attempt_id = NULL, reason = 'cancelled',
    max_attempts = max_attempts + :more
WHERE seq = :seq AND state = 'running' AND attempt_id = :attempt_id

-- requeue_task: its attempt was lost; it is due again from now
-- from: running
-- to: ready
UPDATE tasks SET state = 'ready', due_at_us = :now_us, changed_at_us = :now_us, attempt_id = NULL
WHERE seq = :seq AND state = 'running' AND attempt_id = :attempt_id

-- hold_task: its attempt was lost; a person shall decide
-- from: running
-- to: held
UPDATE tasks SET state = 'held', changed_at_us = :now_us, attempt_id = NULL
WHERE seq = :seq AND state = 'running' AND attempt_id = :attempt_id

-- give_back_task: its attempt never started and burns no number
-- from: running
-- to: ready
UPDATE tasks SET state = 'ready', attempt = attempt - 1, attempt_id = NULL
WHERE seq = :seq AND state = 'running' AND attempt_id = :attempt_id AND cancel_requested_at_us IS NULL

-- stop_unstarted_task: a cancel came before its attempt started
-- from: running
-- to: cancelled
UPDATE tasks SET state = 'cancelled', finished_at_us = cancel_requested_at_us, reason = 'cancelled',
    attempt = attempt - 1, attempt_id = NULL
WHERE seq = :seq AND state = 'running' AND attempt_id = :attempt_id AND cancel_requested_at_us IS NOT NULL

-- fail_corrupt_task: what is stored of it cannot be opened; it is not run
-- from: ready
-- to: failed
UPDATE tasks SET state = 'failed', finished_at_us = :now_us, reason = 'corrupt_record', message = :message
WHERE seq = :seq AND state = 'ready'

-- withdraw_attempt: an attempt that never started leaves no trace
-- from: claimed stopping
-- to: gone
DELETE FROM attempts WHERE id = :attempt_id AND state IN ('claimed', 'stopping') AND started_at_us IS NULL
