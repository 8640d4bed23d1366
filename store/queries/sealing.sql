-- Under which key everything is, and bringing it under another one: read a page, seal it anew, put it back where it has
-- not changed meanwhile.

-- sealing_row: how the store is sealed
SELECT key_id, sealed FROM sealing WHERE id = 1

-- put_sealing: how the store is sealed from now on
INSERT INTO sealing (id, key_id, sealed) VALUES (1, :key_id, :sealed)
ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed

-- page_of_payloads: what tasks are to run, as it is sealed
SELECT task AS row, revision, sealed AS blob FROM payloads WHERE task > :after ORDER BY task LIMIT :limit

-- reseal_payloads: the same under another key
UPDATE payloads SET sealed = :new WHERE task = :row AND sealed = :old

-- page_of_results: what functions returned, as it is sealed
SELECT task AS row, attempt_id AS revision, sealed AS blob FROM results WHERE task > :after ORDER BY task LIMIT :limit

-- reseal_results: the same under another key
UPDATE results SET sealed = :new WHERE task = :row AND sealed = :old

-- page_of_tasks: why tasks ended, as it is sealed
SELECT seq AS row, 0 AS revision, message AS blob FROM tasks WHERE seq > :after ORDER BY seq LIMIT :limit

-- reseal_tasks: the same under another key
UPDATE tasks SET message = :new WHERE seq = :row AND message = :old

-- page_of_attempts: why attempts ended, as it is sealed
SELECT id AS row, 0 AS revision, message AS blob FROM attempts WHERE id > :after ORDER BY id LIMIT :limit

-- reseal_attempts: the same under another key
UPDATE attempts SET message = :new WHERE id = :row AND message = :old

-- page_of_progress: what attempts say of their progress, as it is sealed
SELECT attempt_id AS row, 0 AS revision, text AS blob FROM progress WHERE attempt_id > :after
ORDER BY attempt_id LIMIT :limit

-- reseal_progress: the same under another key
UPDATE progress SET text = :new WHERE attempt_id = :row AND text = :old

-- page_of_executors: the keys of their output, as they are sealed
SELECT id AS row, 0 AS revision, data_key AS blob FROM executors WHERE id > :after ORDER BY id LIMIT :limit

-- reseal_executors: the same under another key
UPDATE executors SET data_key = :new WHERE id = :row AND data_key = :old

-- page_of_digests: fingerprints of submissions
SELECT seq AS row, 0 AS revision, content AS blob FROM tasks WHERE seq > :after ORDER BY seq LIMIT :limit

-- reseal_digests: the same made with a key
UPDATE tasks SET content = :new WHERE seq = :row AND content = :old

-- executors_without_data_key: those whose output is in clear
SELECT id FROM executors WHERE data_key IS NULL ORDER BY id

-- give_data_key: a key for output that is in clear
UPDATE executors SET data_key = :data_key WHERE id = :id AND data_key IS NULL

-- data_key_of_executor: what opens its output
SELECT data_key FROM executors WHERE id = :id

-- data_key_of_attempt: what opens its output
SELECT executors.id, executors.data_key FROM attempts JOIN executors ON executors.id = attempts.executor
WHERE attempts.id = :attempt_id

-- clear_chunks: output that is in clear, in output.db
SELECT rowid AS row, attempt_id, number, stream, offset, length, data, sealed FROM chunks
WHERE rowid > :after AND sealed = 0 ORDER BY rowid LIMIT :limit

-- clear_output: whether any output is in clear, in output.db
SELECT 1 FROM chunks WHERE sealed = 0 LIMIT 1

-- seal_chunk: the same, sealed, in output.db
UPDATE chunks SET data = :data, sealed = 1 WHERE rowid = :row AND sealed = 0

-- drop_chunk: what belongs to no attempt, in output.db
DELETE FROM chunks WHERE rowid = :row AND sealed = 0

-- seals_of_payloads: how much of what tasks are to run is under which key
SELECT hex(substr(sealed, 1, 5)) AS head, count(*) AS many FROM payloads GROUP BY head

-- seals_of_results: how many results are under which key
SELECT hex(substr(sealed, 1, 5)) AS head, count(*) AS many FROM results GROUP BY head

-- seals_of_tasks: how many messages of tasks are under which key
SELECT hex(substr(message, 1, 5)) AS head, count(*) AS many FROM tasks WHERE message IS NOT NULL GROUP BY head

-- seals_of_attempts: how many messages of attempts are under which key
SELECT hex(substr(message, 1, 5)) AS head, count(*) AS many FROM attempts WHERE message IS NOT NULL GROUP BY head

-- seals_of_progress: how many words of progress are under which key
SELECT hex(substr(text, 1, 5)) AS head, count(*) AS many FROM progress WHERE text IS NOT NULL GROUP BY head

-- seals_of_executors: how many keys of output are under which key
SELECT hex(substr(data_key, 1, 5)) AS head, count(*) AS many FROM executors WHERE data_key IS NOT NULL GROUP BY head
