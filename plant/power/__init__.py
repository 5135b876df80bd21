"""Power from the die to the grid: draw by phase and clock, conversion losses, storage, tariff and carbon."""
