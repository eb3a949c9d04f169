DELETE FROM die_specifications WHERE identifier IN ('fair', 'risky', 'extreme');
