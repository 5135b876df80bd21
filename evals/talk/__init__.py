"""What the suites tools and chat share: a played night to ask about, tasks, and what a right call is."""
