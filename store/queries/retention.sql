-- Retention: what is finished long enough goes, in small batches.

-- oldest_finished: the first candidates, and how many finished before each; what one that has not ended waits for, or
-- takes the result of, is none
SELECT seq, finished_at_us, place FROM (
    SELECT seq, finished_at_us, row_number() OVER (ORDER BY finished_at_us, seq) - 1 AS place
    FROM tasks INDEXED BY tasks_finished WHERE finished_at_us IS NOT NULL
) AS finished
WHERE NOT EXISTS (
    SELECT 1 FROM dependencies AS d CROSS JOIN tasks AS c ON c.seq = d.task
    WHERE d.parent = finished.seq AND c.finished_at_us IS NULL
)
LIMIT :limit

-- attempt_ids_of_tasks: whose output goes with the tasks
SELECT id FROM attempts WHERE task IN (SELECT value FROM json_each(:seqs)) ORDER BY id

-- prune_tasks: all that is kept of finished tasks
-- from: succeeded failed cancelled skipped
-- to: gone
DELETE FROM tasks WHERE seq IN (SELECT value FROM json_each(:seqs)) AND finished_at_us IS NOT NULL

-- oldest_events: the first candidates
SELECT id, at_us FROM events ORDER BY id LIMIT :limit

-- prune_events: what is older than who follows may ask for
DELETE FROM events WHERE id <= :last

-- dropped_attempts: attempts that are gone while their output may not be; what is kept keeps its output
SELECT attempt_id FROM dropped WHERE attempt_id NOT IN (SELECT id FROM attempts) ORDER BY attempt_id LIMIT :limit

-- forget_dropped: their output is gone too
DELETE FROM dropped WHERE attempt_id IN (SELECT value FROM json_each(:attempt_ids))
