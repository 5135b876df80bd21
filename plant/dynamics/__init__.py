"""The site in motion: one state a column, one kernel a step."""
