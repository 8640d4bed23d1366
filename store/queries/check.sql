-- Invariants. Each statement names what breaks it: nothing found is what must be. The schema forbids much of this; a
-- damaged file does not ask the schema.

-- check_live_attempt: every running task has exactly one live attempt, its newest
SELECT 'task ' || t.id AS object, 'is running without a live attempt of its own' AS message
FROM tasks AS t LEFT JOIN attempts AS a
    ON a.id = t.attempt_id AND a.task = t.seq AND a.number = t.attempt AND a.state IN ('claimed', 'running', 'stopping')
WHERE t.state = 'running' AND a.id IS NULL

-- check_live_task: every live attempt belongs to a running task
SELECT 'attempt ' || a.id AS object, 'is ' || a.state || ' while its task is not running it' AS message
FROM attempts AS a LEFT JOIN tasks AS t ON t.seq = a.task AND t.state = 'running' AND t.attempt_id = a.id
WHERE a.state IN ('claimed', 'running', 'stopping') AND t.seq IS NULL

-- check_one_live: no task has two live attempts
SELECT 'task ' || t.id AS object, 'has ' || count(*) || ' live attempts' AS message
FROM attempts AS a JOIN tasks AS t ON t.seq = a.task
WHERE a.state IN ('claimed', 'running', 'stopping') GROUP BY t.seq HAVING count(*) > 1

-- check_stopping: an attempt is being stopped exactly when its task is to be cancelled
SELECT 'attempt ' || a.id AS object, 'is ' || a.state || ' against the wish on its task' AS message
FROM attempts AS a JOIN tasks AS t ON t.attempt_id = a.id
WHERE (a.state = 'stopping') <> (t.cancel_requested_at_us IS NOT NULL)

-- check_executors: live attempts belong to executors that are present
SELECT 'attempt ' || a.id AS object, 'is ' || a.state || ' on executor ' || a.executor || ', which is not there' AS message
FROM attempts AS a LEFT JOIN executors AS e ON e.id = a.executor AND e.state = 'present'
WHERE a.state IN ('claimed', 'running', 'stopping') AND e.id IS NULL

-- check_task_state: tasks are in states that exist, finished ones have an end, others none
SELECT 'task ' || id AS object, 'has state ' || state || ' and finish time ' || ifnull(finished_at_us, 'none') AS message
FROM tasks WHERE state NOT IN (
    'scheduled', 'blocked', 'ready', 'running', 'retrying', 'held', 'succeeded', 'failed', 'cancelled', 'skipped')
OR (finished_at_us IS NOT NULL) <> (state IN ('succeeded', 'failed', 'cancelled', 'skipped'))

-- check_attempt_state: attempts are in states that exist, ended ones have an end, others none
SELECT 'attempt ' || id AS object, 'has state ' || state || ' and finish time ' || ifnull(finished_at_us, 'none') AS message
FROM attempts WHERE state NOT IN (
    'claimed', 'running', 'stopping', 'succeeded', 'failed', 'timed_out', 'cancelled', 'lost')
OR (finished_at_us IS NOT NULL) <> (state IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'lost'))

-- check_numbers: attempts of a task are numbered 1, 2, 3 ... up to the one it counts
SELECT 'task ' || t.id AS object,
    'counts ' || t.attempt || ' attempts and has ' || count(a.id) || ' up to number ' || ifnull(max(a.number), 0) AS message
FROM tasks AS t LEFT JOIN attempts AS a ON a.task = t.seq
GROUP BY t.seq HAVING t.attempt <> count(a.id) OR t.attempt <> ifnull(max(a.number), 0)

-- check_success: a task that succeeded did so in its newest attempt
SELECT 'task ' || t.id AS object, 'has succeeded, its newest attempt is ' || ifnull(a.state, 'missing') AS message
FROM tasks AS t LEFT JOIN attempts AS a ON a.task = t.seq AND a.number = t.attempt
WHERE t.state = 'succeeded' AND a.state IS NOT 'succeeded'

-- check_counts: the counts are those of the tasks
SELECT 'count of ' || c.state AS object, 'is ' || c.tasks || ', there are ' || count(t.seq) AS message
FROM task_counts AS c LEFT JOIN tasks AS t ON t.state = c.state
GROUP BY c.state HAVING c.tasks <> count(t.seq)

-- check_counter: no number is above the last one given
SELECT 'counter id' AS object, 'is ' || c.value || ', there is task number ' || max(t.seq) AS message
FROM counters AS c JOIN tasks AS t WHERE c.name = 'id' GROUP BY c.value HAVING max(t.seq) > c.value

-- check_payloads: every task has what it is to run, and nothing else has
SELECT 'task ' || t.id AS object, 'has no payload' AS message
FROM tasks AS t LEFT JOIN payloads AS p ON p.task = t.seq WHERE p.task IS NULL
UNION ALL
SELECT 'payload ' || p.task, 'belongs to no task'
FROM payloads AS p LEFT JOIN tasks AS t ON t.seq = p.task WHERE t.seq IS NULL

-- check_dropped: nothing that is kept is marked as dropped
SELECT 'attempt ' || a.id AS object, 'is kept and marked as dropped' AS message
FROM attempts AS a JOIN dropped AS d ON d.attempt_id = a.id

-- check_events: the last that is told of a task is the state it is in; a claim is told of when it has started
SELECT 'task ' || t.id AS object, 'is ' || t.state || ', the last told of it is ' || e.event || ', ' || e.state AS message
FROM (SELECT max(id) AS id FROM events WHERE event <> 'attempt_ended' GROUP BY task) AS last
JOIN events AS e ON e.id = last.id JOIN tasks AS t ON t.seq = e.task
WHERE e.event = 'deleted' OR e.state <> t.state AND NOT (
    t.state = 'running' AND e.state = 'ready'
    AND EXISTS (SELECT 1 FROM attempts AS a WHERE a.id = t.attempt_id AND a.started_at_us IS NULL)
)

-- check_cursor: no cursor is above the last one given
SELECT 'cursor of events' AS object, 'is ' || newest || ', there is event ' || top AS message
FROM (
    SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS newest, (SELECT max(id) FROM events) AS top
)
WHERE top > newest

-- check_paused: only what runs stands still
SELECT 'attempt ' || id AS object, 'stands still and is ' || state AS message
FROM attempts WHERE paused_at_us IS NOT NULL AND (finished_at_us IS NOT NULL OR started_at_us IS NULL)

-- check_waits: what waits for others counts those that have not ended
SELECT 'task ' || t.id AS object, 'counts ' || t.waits_for || ' tasks to wait for, there are ' || count(d.task) AS message
FROM tasks AS t LEFT JOIN dependencies AS d ON d.task = t.seq AND d.met IS NULL
WHERE t.finished_at_us IS NULL GROUP BY t.seq HAVING t.waits_for <> count(d.task)

-- check_blocked: nothing waits for a task that has ended or is gone
SELECT 'task ' || c.id AS object,
    'waits for task ' || d.parent_id || ', which ' || ifnull('has ended (' || p.state || ')', 'is gone') AS message
FROM dependencies AS d JOIN tasks AS c ON c.seq = d.task LEFT JOIN tasks AS p ON p.seq = d.parent
WHERE d.met IS NULL AND c.finished_at_us IS NULL AND (p.seq IS NULL OR p.finished_at_us IS NOT NULL)

-- check_vain: nothing waits for what cannot come true, and only for that a task is skipped
SELECT 'task ' || c.id AS object, 'is ' || c.state || ', task ' || d.parent_id || ' ended otherwise than it asks' AS message
FROM dependencies AS d JOIN tasks AS c ON c.seq = d.task WHERE d.met = 0 AND c.finished_at_us IS NULL
UNION ALL
SELECT 'task ' || t.id, 'is skipped, all that it waited for ended as it asks'
FROM tasks AS t WHERE t.state = 'skipped' AND NOT EXISTS (SELECT 1 FROM dependencies AS d WHERE d.task = t.seq AND d.met = 0)

-- check_met: what is noted of a task that others waited for is how it ended
SELECT 'task ' || c.id AS object, 'has a wrong note of how task ' || d.parent_id || ' ended (' || p.state || ')' AS message
FROM dependencies AS d JOIN tasks AS c ON c.seq = d.task JOIN tasks AS p ON p.seq = d.parent
WHERE d.met IS NOT NULL AND (p.finished_at_us IS NULL OR d.met <> CASE d.condition
    WHEN 'any' THEN 1 WHEN 'ok' THEN p.state = 'succeeded' ELSE p.state <> 'succeeded' END)

-- check_results: what is kept as a result was returned by a function that succeeded
SELECT 'task ' || t.id AS object, 'is a ' || t.kind || ' that ' || t.state || ', and has a result' AS message
FROM results AS r JOIN tasks AS t ON t.seq = r.task
LEFT JOIN attempts AS a ON a.id = r.attempt_id AND a.task = t.seq AND a.number = t.attempt
WHERE t.kind <> 'function' OR t.state <> 'succeeded' OR a.id IS NULL

-- check_early: no task is ready before its time
SELECT 'task ' || id AS object, 'is ready and due later; the clock was set back' AS message
FROM tasks WHERE state = 'ready' AND due_at_us > :now_us

-- sealed_payloads_after: for opening them all, a page at a time
SELECT p.task, t.id, p.revision, p.sealed FROM payloads AS p JOIN tasks AS t ON t.seq = p.task
WHERE p.task > :after ORDER BY p.task LIMIT :limit

-- sealed_results_after: for opening them all, a page at a time
SELECT r.task, t.id, r.attempt_id AS revision, r.sealed FROM results AS r JOIN tasks AS t ON t.seq = r.task
WHERE r.task > :after ORDER BY r.task LIMIT :limit

-- waiting_tasks: how many tasks have to end before others may start
SELECT seq, id, waits_for FROM tasks WHERE finished_at_us IS NULL AND waits_for > 0

-- waited_for_now: what others wait for and waits for nothing itself
SELECT DISTINCT p.seq FROM dependencies AS d CROSS JOIN tasks AS p ON p.seq = d.parent
WHERE d.met IS NULL AND p.finished_at_us IS NULL AND p.waits_for = 0

-- freed_by: whose turn comes nearer when these end
SELECT d.task, count(*) AS ended FROM json_each(:seqs) AS given CROSS JOIN dependencies AS d ON d.parent = given.value
WHERE d.met IS NULL GROUP BY d.task

-- written_after: what ended attempts say they wrote, a page at a time
SELECT a.id, t.id AS task_id, a.state, a.stdout_bytes + a.stderr_bytes - a.dropped_bytes AS kept_bytes
FROM attempts AS a JOIN tasks AS t ON t.seq = a.task
WHERE a.id > :after AND a.finished_at_us IS NOT NULL ORDER BY a.id LIMIT :limit

-- attempts_among: those of the given attempts that are there
SELECT id FROM attempts WHERE id IN (SELECT value FROM json_each(:attempt_ids))

-- dropped_among: those of the given attempts whose output is to go
SELECT attempt_id FROM dropped WHERE attempt_id IN (SELECT value FROM json_each(:attempt_ids))

-- stored_lengths_among: how much output of the given attempts is kept
SELECT attempt_id, sum(length) AS length FROM chunks
WHERE attempt_id IN (SELECT value FROM json_each(:attempt_ids)) GROUP BY attempt_id

-- chunks_from: for opening all output, a page at a time
SELECT rowid AS row, attempt_id, number, stream, offset, length, data, sealed FROM chunks
WHERE rowid > :after ORDER BY rowid LIMIT :limit

-- owners_after: attempts that have output, one step of the index each
WITH RECURSIVE owner (attempt_id) AS (
    SELECT (SELECT attempt_id FROM chunks WHERE attempt_id > :after ORDER BY attempt_id LIMIT 1)
    UNION ALL
    SELECT (SELECT attempt_id FROM chunks WHERE attempt_id > owner.attempt_id ORDER BY attempt_id LIMIT 1)
    FROM owner WHERE owner.attempt_id IS NOT NULL LIMIT :limit
)
SELECT attempt_id FROM owner WHERE attempt_id IS NOT NULL

-- check_waiting: what is counted of an owner's tasks that wait is what there is
SELECT 'count of ' || owner AS object, 'is ' || max(counted) || ', there are ' || max(waiting) || ' tasks that wait' AS message
FROM (
    SELECT owner, tasks AS counted, 0 AS waiting FROM waiting_counts
    UNION ALL
    SELECT owner, 0, count(*) FROM tasks INDEXED BY tasks_by_owner
    WHERE owner <> '' AND finished_at_us IS NULL AND state <> 'running' GROUP BY owner
)
GROUP BY owner HAVING max(counted) <> max(waiting)

-- check_audit: no entry of the audit is missing
SELECT 'audit' AS object, 'has ' || count(*) || ' entries from ' || min(id) || ' to ' || max(id) AS message
FROM audit HAVING count(*) <> max(id) - min(id) + 1
