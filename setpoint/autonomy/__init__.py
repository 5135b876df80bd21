"""Earned autonomy: what a kind of action may do without being asked, from the ledger's record alone.

bound.py counts, standing.py reads a record, disposition.py says what becomes of one proposal, granting.py holds what
people may say, gate.py joins them to a ledger.
"""
