-- Output, in output.db.

-- append_chunk: what was read; a repeated chunk is the same chunk
INSERT INTO chunks (attempt_id, number, stream, offset, length, data, sealed)
VALUES (:attempt_id, :number, :stream, :offset, :length, :data, :sealed)
ON CONFLICT (attempt_id, number) DO NOTHING

-- chunks_after: output in the order it was read
SELECT attempt_id, number, stream, offset, length, data, sealed FROM chunks
WHERE attempt_id = :attempt_id AND number > :after ORDER BY number LIMIT :limit

-- last_number_of: how far an attempt's output goes
SELECT number FROM chunks WHERE attempt_id = :attempt_id ORDER BY number DESC LIMIT 1

-- lengths_of: how much of each stream is kept
SELECT stream, sum(length) AS length FROM chunks WHERE attempt_id = :attempt_id GROUP BY stream

-- lengths_backwards: for finding where a tail begins
SELECT number, stream, length FROM chunks WHERE attempt_id = :attempt_id ORDER BY number DESC

-- newest_attempt: the largest attempt id that has output
SELECT attempt_id FROM chunks ORDER BY attempt_id DESC LIMIT 1

-- drop_chunks: all output of an attempt
DELETE FROM chunks WHERE attempt_id = :attempt_id
