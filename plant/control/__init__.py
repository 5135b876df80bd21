"""Control of a site ahead of time: forecasts, plans and what they are worth, as pure computation over site and readings.

One package a loop (`energy`, `peak`, `cooling`, `maintenance`), over what they share (`forecast`, `watch`, `results`).
Nothing here moves a setpoint: a plan is a proposal, and the one executor acts.
"""
