-- Executors and the marks of their runners.

-- insert_executor: a process that may attach
INSERT INTO executors (id, secret_hash, pid, start_ticks, boot_id, version, started_at_us, state, data_key)
VALUES (:id, :secret_hash, :pid, :start_ticks, :boot_id, :version, :started_at_us, :state, :data_key)

-- executor_by_id: one executor
SELECT id, secret_hash, pid, start_ticks, boot_id, version, started_at_us, state FROM executors WHERE id = :id

-- present_executors: those not proven gone, the oldest first
SELECT id, secret_hash, pid, start_ticks, boot_id, version, started_at_us, state
FROM executors INDEXED BY executors_present WHERE state = 'present' ORDER BY started_at_us, id

-- insert_runner: a mark, once
INSERT INTO runners (executor, pid, start_ticks, mount_namespace, up_at_us)
VALUES (:executor, :pid, :start_ticks, :mount_namespace, :now_us)
ON CONFLICT (executor, pid, start_ticks) DO NOTHING

-- runners_of_executor: all marks an executor ever stored
SELECT pid, start_ticks, mount_namespace FROM runners WHERE executor = :executor ORDER BY up_at_us, pid

-- executor_gone: proven gone, with everything it started
UPDATE executors SET state = 'gone', gone_at_us = :now_us WHERE id = :id AND state = 'present'

-- drop_runners: the marks of an executor that is gone mark nothing
DELETE FROM runners WHERE executor = :executor

-- forget_gone_executors: those no kept attempt names
DELETE FROM executors WHERE state = 'gone' AND id NOT IN (SELECT executor FROM attempts)
