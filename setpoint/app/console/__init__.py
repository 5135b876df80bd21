"""The console in the browser: pages that the server writes, kept live by one stream of changes."""
