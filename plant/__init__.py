"""The model of the plant: hardware, topology and physics. Knows no language model."""
