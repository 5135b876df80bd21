"""Cooling that acts ahead of the heat: from the job schedule to rack temperatures, and the setpoints that follow."""
