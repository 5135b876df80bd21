"""How suites are run, recorded, compared and held against a baseline."""
