"""What agents and graphs may use: the closed action catalog, its guards, its one executor, and read-only tools."""
