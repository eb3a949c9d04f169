DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'diceuser') THEN
    RAISE EXCEPTION 'role diceuser does not exist' USING HINT = 'Run migrations/roles first.';
  END IF;
END
$$;

GRANT SELECT ON die_specifications, dice TO diceuser;
