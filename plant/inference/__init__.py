"""Serving a language model: what a step costs, how an engine schedules it, what the memory holds."""
