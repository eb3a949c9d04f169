REVOKE SELECT ON die_specifications, dice FROM diceuser;
