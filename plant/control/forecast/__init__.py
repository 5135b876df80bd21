"""Forecasts of site power, request rates and their like, minutes to two days ahead, with measured intervals."""
