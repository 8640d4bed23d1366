-- Audit: who changed what, and who was refused.

-- insert_audit: something was done, or refused
INSERT INTO audit (at_us, who, role, "where", what, object, outcome)
VALUES (:at_us, :who, :role, :where, :what, :object, :outcome)

-- audit_before: the newest entries before a number; what does not match is walked past
SELECT id, at_us, who, role, "where", what, object, outcome FROM audit
WHERE id < :before AND at_us >= :since_us AND (:who IS NULL OR who = :who) AND (:what IS NULL OR what = :what)
ORDER BY id DESC LIMIT :limit

-- audit_bounds: the first and the last number kept
SELECT (SELECT min(id) FROM audit) AS oldest, (SELECT max(id) FROM audit) AS newest

-- prune_audit: the oldest entries
DELETE FROM audit WHERE id <= :last
