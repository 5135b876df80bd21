"""Causes tested on the plant and actions rehearsed on it: numbers only, no language model."""
