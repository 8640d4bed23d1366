-- Dependencies: tasks that wait for others. What ends is told of in sets, so that many cost little more than one.

-- insert_dependency: a task to wait for
INSERT INTO dependencies (task, position, parent, parent_id, condition, wants_result, met)
VALUES (:task, :position, :parent, :parent_id, :condition, :wants_result, :met)

-- drop_dependencies: others come instead
DELETE FROM dependencies WHERE task = :seq

-- keep_wanted: whose results a task made from another one takes; it waits only for those that have not ended
INSERT INTO dependencies (task, position, parent, parent_id, condition, wants_result, met)
SELECT :seq, row_number() OVER (ORDER BY d.position) - 1, d.parent, d.parent_id, CASE WHEN p.finished_at_us IS NULL AND p.seq IS NOT NULL
    THEN d.condition ELSE 'any' END, 1, CASE WHEN p.finished_at_us IS NULL AND p.seq IS NOT NULL THEN NULL ELSE 1 END
FROM dependencies AS d LEFT JOIN tasks AS p ON p.seq = d.parent
WHERE d.task = :old AND d.wants_result = 1

-- open_count: how many tasks have to end before one may start
SELECT count(*) AS open FROM dependencies WHERE task = :seq AND met IS NULL

-- parents_of: what a task waits for, or waited for
SELECT d.parent_id, d.condition, d.met, p.state
FROM dependencies AS d LEFT JOIN tasks AS p ON p.seq = d.parent
WHERE d.task = :seq ORDER BY d.position

-- waited_for: those of the given tasks that others waited for
SELECT given.value AS seq FROM json_each(:seqs) AS given
WHERE EXISTS (SELECT 1 FROM dependencies WHERE parent = given.value)

-- doomed: what will never run, for a task it waits for has ended otherwise than it was to, or will never run itself
WITH RECURSIVE doomed (seq) AS (
    SELECT d.task
    FROM json_each(:parents) AS given CROSS JOIN tasks AS p ON p.seq = given.value
    CROSS JOIN dependencies AS d ON d.parent = p.seq CROSS JOIN tasks AS c ON c.seq = d.task
    WHERE d.met IS NULL AND c.finished_at_us IS NULL
        AND CASE d.condition WHEN 'ok' THEN p.state <> 'succeeded' WHEN 'fail' THEN p.state = 'succeeded' ELSE 0 END
    UNION
    SELECT d.task
    FROM doomed CROSS JOIN dependencies AS d ON d.parent = doomed.seq CROSS JOIN tasks AS c ON c.seq = d.task
    WHERE d.met IS NULL AND d.condition = 'ok' AND c.finished_at_us IS NULL
)
SELECT t.seq, t.id, t.queue, t.shared, t.due_at_us FROM doomed CROSS JOIN tasks AS t ON t.seq = doomed.seq

-- open_of: what tasks still wait for, in order
SELECT d.task, d.parent, d.parent_id, d.condition, p.state
FROM json_each(:seqs) AS given CROSS JOIN dependencies AS d ON d.task = given.value
CROSS JOIN tasks AS p ON p.seq = d.parent
WHERE d.met IS NULL ORDER BY given.id, d.position

-- settle_dependencies: whether those that ended did so as they were to
UPDATE dependencies SET met = CASE condition
    WHEN 'any' THEN 1 WHEN 'ok' THEN p.state = 'succeeded' ELSE p.state <> 'succeeded' END
FROM json_each(:parents) AS given CROSS JOIN tasks AS p ON p.seq = given.value
WHERE dependencies.parent = p.seq AND dependencies.met IS NULL

-- unblock_tasks: the last task that they waited for has ended as it was to; they are due from now on, or later
-- from: blocked
-- to: ready scheduled retrying
UPDATE tasks SET waits_for = 0, changed_at_us = :now_us, due_at_us = max(due_at_us, :now_us), state = CASE
    WHEN due_at_us <= :now_us THEN 'ready'
    WHEN attempt > 0 THEN 'retrying'
    ELSE 'scheduled' END
FROM (
    SELECT d.task, count(*) AS ended
    FROM json_each(:parents) AS given CROSS JOIN dependencies AS d ON d.parent = given.value
    GROUP BY d.task
) AS told
WHERE tasks.seq = told.task AND +tasks.state = 'blocked' AND tasks.waits_for = told.ended
RETURNING seq, id, state, queue, shared, due_at_us

-- count_down: fewer tasks have to end before these may start
UPDATE tasks SET waits_for = waits_for - told.ended
FROM (
    SELECT d.task, count(*) AS ended
    FROM json_each(:parents) AS given CROSS JOIN dependencies AS d ON d.parent = given.value
    GROUP BY d.task
) AS told
WHERE tasks.seq = told.task AND (+tasks.state = 'blocked' OR +tasks.state = 'held')

-- skip_task: a task that it was to wait for has ended otherwise than it was to
-- from: blocked held
-- to: skipped
WITH told (seq, now_us, message) AS (VALUES (:seq, :now_us, :message))
UPDATE tasks SET state = 'skipped', finished_at_us = told.now_us, reason = 'dependency', message = told.message
FROM told WHERE tasks.seq = told.seq AND (+tasks.state = 'blocked' OR +tasks.state = 'held')

-- block_task: a person let it wait for other tasks
-- from: scheduled blocked ready
-- to: blocked
UPDATE tasks SET state = 'blocked', waits_for = :waits_for, changed_at_us = :now_us
WHERE seq = :seq AND (state = 'scheduled' OR state = 'blocked' OR state = 'ready')

-- unblock_task: a person let it wait for no other task any more
-- from: blocked
-- to: ready scheduled retrying
UPDATE tasks SET waits_for = 0, changed_at_us = :now_us, due_at_us = max(due_at_us, :now_us), state = CASE
    WHEN due_at_us <= :now_us THEN 'ready'
    WHEN attempt > 0 THEN 'retrying'
    ELSE 'scheduled' END
WHERE seq = :seq AND state = 'blocked'

-- recount_held: a person let a held task wait for other tasks than before
UPDATE tasks SET waits_for = :waits_for WHERE seq = :seq AND state = 'held'

-- child_in_need: a task that has not ended and waits for, or takes the result of, a given one
SELECT c.id, c.owner FROM dependencies AS d CROSS JOIN tasks AS c ON c.seq = d.task
WHERE d.parent = :seq AND c.finished_at_us IS NULL LIMIT 1

-- edges_below: who waits for a task, and who for those
WITH RECURSIVE below (seq) AS (
    SELECT :seq
    UNION
    SELECT d.task FROM below CROSS JOIN dependencies AS d ON d.parent = below.seq CROSS JOIN tasks AS c ON c.seq = d.task
    WHERE d.met IS NULL AND c.finished_at_us IS NULL
)
SELECT d.parent, d.task, c.id AS child
FROM below CROSS JOIN dependencies AS d ON d.parent = below.seq CROSS JOIN tasks AS c ON c.seq = d.task
WHERE d.met IS NULL AND c.finished_at_us IS NULL

-- connected: what hangs together with tasks, the nearest first
WITH RECURSIVE reached (seq) AS (
    SELECT seq FROM tasks WHERE id IN (SELECT value FROM json_each(:ids))
    UNION
    SELECT p.seq FROM reached CROSS JOIN dependencies AS d ON d.task = reached.seq CROSS JOIN tasks AS p ON p.seq = d.parent
    UNION
    SELECT d.task FROM reached CROSS JOIN dependencies AS d ON d.parent = reached.seq
    LIMIT :limit
)
SELECT seq FROM reached

-- edges_among: who waits, or waited, for whom of the given
SELECT d.task, d.parent, d.condition, d.met
FROM json_each(:seqs) AS given CROSS JOIN dependencies AS d ON d.task = given.value
WHERE d.parent IN (SELECT value FROM json_each(:seqs))
ORDER BY given.id, d.position

-- insert_result: what a function returned
INSERT INTO results (task, attempt_id, sealed) VALUES (:task, :attempt_id, :sealed)

-- results_of: what functions returned, in the order of the ids
SELECT t.id, r.task, r.attempt_id, r.sealed
FROM json_each(:ids) AS given CROSS JOIN tasks AS t ON t.id = given.value CROSS JOIN results AS r ON r.task = t.seq

-- results_for: what a task gets of those it waited for, where it wants that; other places are empty
SELECT d.position, d.parent_id, r.task, r.attempt_id, r.sealed
FROM dependencies AS d LEFT JOIN results AS r ON d.wants_result = 1 AND r.task = d.parent
WHERE d.task = :seq ORDER BY d.position
