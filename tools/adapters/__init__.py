"""Adapters to real sites: telemetry in, setpoints out, each behind one small protocol. Reading is free; writing needs a
switch for each site (`[adapters.NAME] write = true`) and still passes the one executor.
"""
