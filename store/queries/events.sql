-- Events: what triggers noted of tasks and attempts. `id` is the cursor.

-- events_after: what happened next
SELECT id, at_us, task_id, event, state, attempt, reason, queue FROM events
WHERE id > :after ORDER BY id LIMIT :limit

-- events_of_after: what happened next to some tasks; all that lies between is walked past
SELECT id, at_us, task_id, event, state, attempt, reason, queue FROM events
WHERE id > :after AND +task_id IN (SELECT value FROM json_each(:ids)) ORDER BY id LIMIT :limit

-- events_of_owner: what happened next, up to some cursor, to tasks that are or were an owner's, of some ids or of all
SELECT id, at_us, task_id, event, state, attempt, reason, queue FROM events
WHERE id > :after AND id <= :until AND coalesce(
        (SELECT owner FROM tasks WHERE seq = events.task), (SELECT owner FROM departed WHERE task = events.task)
    ) = :owner
    AND (:ids IS NULL OR +task_id IN (SELECT value FROM json_each(:ids)))
ORDER BY id LIMIT :limit

-- event_bounds: the smallest cursor kept, and the last one given
SELECT
    (SELECT id FROM events ORDER BY id LIMIT 1) AS oldest,
    ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS newest
