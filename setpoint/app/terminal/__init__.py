"""The console in the terminal."""
