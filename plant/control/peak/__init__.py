"""Peak shaving: when storage charges and gives, which flexible work waits, and what that is worth."""
