"""Who thinks: one role a file, typed in, typed out. A role knows no graph and no store."""
