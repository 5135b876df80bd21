"""What Setpoint knows: runbooks, rules, catalogs, and the index that finds the right passage."""
