-- What comes when all rows are there. Law: source and peers meet the table as it stands after a quiet night.
SELECT setval(pg_get_serial_sequence('readings', 'id'), :readings);
CREATE INDEX readings_unit_ts ON readings (unit_id, recorded_at);
CREATE INDEX event_logs_created ON event_logs (created_at);
VACUUM ANALYZE;
CHECKPOINT;
