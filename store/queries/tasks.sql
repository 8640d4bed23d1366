-- Tasks: submission, looking, changing, ending while they wait.

-- last_number: the last number given to a task
SELECT value FROM counters WHERE name = 'id'

-- set_last_number: so many numbers are given now
UPDATE counters SET value = :value WHERE name = 'id'

-- records_by_key: what is there under submission keys
SELECT seq, id, key, content, state, due_at_us, owner FROM tasks WHERE key IN (SELECT value FROM json_each(:keys))

-- records_by_id: what is there under ids
SELECT seq, id, key, content, state, due_at_us, owner FROM tasks WHERE id IN (SELECT value FROM json_each(:ids))

-- insert_task: a new task
-- from: new
-- to: ready scheduled held blocked skipped
INSERT INTO tasks (
    seq, id, key, content, name, kind, queue, priority, state, created_at_us, changed_at_us, due_at_us, max_attempts,
    timeout_us, grace_us, on_lost, profile, output_cap_bytes, retry_of, shared, retry_delay_us, waits_for, finished_at_us,
    reason, message, owner
) VALUES (
    :seq, :id, :key, :content, :name, :kind, :queue, :priority, :state, :created_at_us, :created_at_us, :due_at_us,
    :max_attempts, :timeout_us, :grace_us, :on_lost, :profile, :output_cap_bytes, :retry_of, :shared, :retry_delay_us,
    :waits_for, :finished_at_us, :reason, :message, :owner
)

-- insert_payload: what a new task is to run
INSERT INTO payloads (task, revision, sealed) VALUES (:task, 0, :sealed)

-- tasks_by_seq: tasks with what their newest attempts tell
SELECT
    t.seq, t.id, t.name, t.kind, t.queue, t.priority, t.state, t.created_at_us, t.due_at_us, t.finished_at_us,
    t.attempt, t.attempt_id, t.max_attempts, t.timeout_us, t.grace_us, t.on_lost, t.profile, t.output_cap_bytes,
    t.cancel_requested_at_us, t.reason, t.message, t.schedule, t.scheduled_for_us, t.retry_of,
    t.shared, t.retry_delay_us, t.waits_for, t.owner,
    a.id AS newest_id, a.started_at_us, a.paused_at_us, a.exit_code, a.signal, a.started_at_us - a.due_at_us AS lateness_us,
    a.reason AS attempt_reason, a.message AS attempt_message, p.at_us, p.done, p.total, p.text
FROM tasks AS t LEFT JOIN attempts AS a ON a.task = t.seq AND a.number = t.attempt
LEFT JOIN progress AS p ON p.attempt_id = a.id
WHERE t.seq IN (SELECT value FROM json_each(:seqs))

-- payloads_of: what tasks are to run, sealed
SELECT task, revision, sealed FROM payloads WHERE task IN (SELECT value FROM json_each(:seqs))

-- seq_of: the task with an id, of whoever may be told of it
SELECT seq, state FROM tasks WHERE id = :id AND (:owner IS NULL OR owner = :owner)

-- states_of: where tasks are, and how far, of whoever may be told of them
SELECT seq, id, state FROM tasks
WHERE id IN (SELECT value FROM json_each(:ids)) AND (:owner IS NULL OR owner = :owner)

-- attempts_of_task: every try of a task, the oldest first
SELECT id, number, state, executor, claimed_at_us, started_at_us, finished_at_us, pid, exit_code, signal, reason,
    message, cpu_s, peak_bytes, started_at_us - due_at_us AS lateness_us, stdout_bytes, stderr_bytes, dropped_bytes,
    leftovers, paused_at_us, paused_us
FROM attempts WHERE task = :seq ORDER BY number

-- attempt_ids_of_task: for the deletion of its output
SELECT id FROM attempts WHERE task = :seq ORDER BY number

-- page_of_all: the newest tasks before a key
SELECT seq FROM tasks WHERE seq < :before AND created_at_us >= :since_us ORDER BY seq DESC LIMIT :limit

-- page_of_queue: the newest tasks of a queue before a key
SELECT seq FROM tasks INDEXED BY tasks_by_queue
WHERE queue = :queue AND seq < :before AND created_at_us >= :since_us ORDER BY seq DESC LIMIT :limit

-- page_of_state: the newest tasks in a state before a key
SELECT seq FROM tasks INDEXED BY tasks_by_state
WHERE state = :state AND seq < :before AND created_at_us >= :since_us ORDER BY seq DESC LIMIT :limit

-- page_of_state_in_queue: the newest tasks in a state and a queue before a key
SELECT seq FROM tasks INDEXED BY tasks_by_state
WHERE state = :state AND +queue = :queue AND seq < :before AND created_at_us >= :since_us
ORDER BY seq DESC LIMIT :limit

-- page_of_owner: the newest tasks of an owner before a key; others of theirs are walked past
SELECT seq FROM tasks INDEXED BY tasks_by_owner
WHERE owner = :owner AND owner <> '' AND seq < :before AND created_at_us >= :since_us
    AND (:queue IS NULL OR +queue = :queue)
    AND (:states IS NULL OR +state IN (SELECT value FROM json_each(:states)))
ORDER BY seq DESC LIMIT :limit

-- waiting_of: how many tasks of an owner have neither started nor ended
SELECT tasks FROM waiting_counts WHERE owner = :owner

-- counts: how many tasks are in each state
SELECT state, tasks FROM task_counts

-- promote_due: what waits for its time and has reached it becomes ready
-- from: scheduled retrying
-- to: ready
UPDATE tasks SET state = 'ready', changed_at_us = :now_us WHERE seq IN (
    SELECT seq FROM tasks INDEXED BY tasks_future
    WHERE state IN ('scheduled', 'retrying') AND due_at_us <= :now_us ORDER BY due_at_us LIMIT :limit
)

-- next_due: when the next task's time comes
SELECT due_at_us FROM tasks INDEXED BY tasks_future
WHERE state IN ('scheduled', 'retrying') ORDER BY due_at_us LIMIT 1

-- edit_waiting: what a waiting task is to be
-- from: scheduled blocked ready retrying held
-- to: scheduled blocked ready retrying held
UPDATE tasks SET name = :name, priority = :priority, due_at_us = :due_at_us, timeout_us = :timeout_us,
    grace_us = :grace_us, changed_at_us = :now_us
WHERE seq = :seq AND state IN ('scheduled', 'blocked', 'ready', 'retrying', 'held')

-- advance_task: a person moved it to now
-- from: scheduled ready retrying
-- to: ready
UPDATE tasks SET state = 'ready', changed_at_us = :now_us
WHERE seq = :seq AND state IN ('scheduled', 'ready', 'retrying')

-- defer_task: a person moved it to later
-- from: scheduled ready
-- to: scheduled
UPDATE tasks SET state = 'scheduled', changed_at_us = :now_us
WHERE seq = :seq AND state IN ('scheduled', 'ready')

-- keep_back_task: a person wants it to wait until it is released
-- from: scheduled blocked ready retrying held
-- to: held
UPDATE tasks SET state = 'held', changed_at_us = :now_us
WHERE seq = :seq AND state IN ('scheduled', 'blocked', 'ready', 'retrying', 'held')

-- release_task: a person let it go: at once when it is due, otherwise at its time, or after those it waits for
-- from: held
-- to: ready scheduled retrying blocked
UPDATE tasks SET changed_at_us = :now_us, state = CASE
    WHEN waits_for > 0 THEN 'blocked'
    WHEN due_at_us <= :now_us THEN 'ready'
    WHEN attempt > 0 THEN 'retrying'
    ELSE 'scheduled' END
WHERE seq = :seq AND state = 'held'

-- payload_revision: how often it was replaced
SELECT revision FROM payloads WHERE task = :seq

-- replace_payload: a person changed what it is to run
INSERT INTO payloads (task, revision, sealed) VALUES (:task, :revision, :sealed)
ON CONFLICT (task) DO UPDATE SET revision = excluded.revision, sealed = excluded.sealed

-- cancel_waiting: a person ended a task that had nothing running
-- from: scheduled blocked ready retrying held
-- to: cancelled
UPDATE tasks SET state = 'cancelled', finished_at_us = :now_us, reason = 'cancelled'
WHERE seq = :seq AND state IN ('scheduled', 'blocked', 'ready', 'retrying', 'held')

-- request_cancel: a person wants a running task ended; the first wish counts, its grace may still be shortened
-- from: running
-- to: running
UPDATE tasks
SET cancel_requested_at_us = coalesce(cancel_requested_at_us, :now_us), grace_us = coalesce(:grace_us, grace_us),
    changed_at_us = :now_us
WHERE seq = :seq AND state = 'running'

-- date_tasks: what comes next happens to them now
UPDATE tasks SET changed_at_us = :now_us WHERE seq IN (SELECT value FROM json_each(:seqs))

-- delete_task: all that is kept of a task that is not running
-- from: scheduled blocked ready retrying held succeeded failed cancelled skipped
-- to: gone
DELETE FROM tasks WHERE seq = :seq AND state <> 'running'
