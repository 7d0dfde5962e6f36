-- The rows of readings and logs, one part of so many. Law: whatever the number of parts, together they are the same rows.
SELECT setseed(0.42 / (:part + 1));
CREATE TEMP TABLE numbered AS SELECT id, row_number() OVER () - 1 AS n FROM units;
CREATE UNIQUE INDEX ON numbered (n);
ANALYZE numbered;
INSERT INTO readings (id, unit_id, recorded_at, temperature, humidity, note, payload)
  SELECT g, u.id, timestamptz '2025-01-01 00:00:00.123456+00' + g * interval '7.123457 s', round((random() * 40 - 25)::numeric, 2),
    CASE WHEN g % 17 = 0 THEN NULL ELSE random() * 100 END, CASE WHEN g % 5 = 0 THEN 'door open "A\B" — ünïcode ' || g END,
    jsonb_build_object('rssi', -(random() * 100)::int, 'bat', round((3 + random())::numeric, 3), 'fw', 'v2.' || (g % 9), 'seq', g)
  FROM generate_series(:readings * :part / :parts + 1, :readings * (:part + 1) / :parts) g JOIN numbered u ON u.n = g % 2000;
INSERT INTO event_logs
  SELECT gen_random_uuid(), u.id, CASE WHEN g % 3 = 0 THEN NULL ELSE gen_random_uuid() END,
    (ARRAY['alert.created', 'alert.acked', 'unit.updated', 'login'])[1 + g % 4], ARRAY['t' || (g % 50), 'a,b "q"'],
    jsonb_build_object('before', jsonb_build_object('v', random()), 'after', jsonb_build_object('v', random(), 'txt', repeat(md5(g::text), 2)),
      'ip', '10.0.0.' || (g % 255)), timestamptz '2025-01-01 00:00:00.5+00' + g * interval '53.000001 s'
  FROM generate_series(:logs * :part / :parts + 1, :logs * (:part + 1) / :parts) g JOIN numbered u ON u.n = g % 2000;
