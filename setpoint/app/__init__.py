"""Entry points: command line, HTTP, the live engine and its one composition root (`wiring`)."""
