"""The energy loop's computation: profile of an instance, the three managers, placement, and the bench."""
