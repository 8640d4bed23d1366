-- Whether `data` is sealed under the data key of the attempt's executor.
ALTER TABLE chunks ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0 CHECK (sealed = 0 OR sealed = 1);
