"""Order and state only. What a node does lives in agents and tools; what it needs comes through its context."""
