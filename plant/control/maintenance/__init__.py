"""Predictive maintenance: when parts will fail, how sure that is, and when the work is best done.

parts      what kinds of part there are: signals, limits, wear, costs
lives      simulated lives of them, with the truth
trend      a degradation path from readings, and when it crosses its limit
survival   the forecast: path and population joined by Weibull regressions, calibrated
value      what a replacement at a time is worth
schedule   work packed into windows: integer programme and greedy fallback
fleet      policies held against each other over simulated years
recurrence failures of public records: who fails next
bench      all tables: python -m plant.control.maintenance.bench
"""
