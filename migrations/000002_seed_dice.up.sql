INSERT INTO die_specifications (identifier, faces, error_rate) VALUES
  ('fair',    '{1,2,3,4,5,6}', 0.0),
  ('risky',   '{2,3,4,5,6,7}', 0.1),
  ('extreme', '{0,0,6,6,6,6}', 0.5);
