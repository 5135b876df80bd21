"""How good Setpoint is: suites, cases, scorers, measurements."""
