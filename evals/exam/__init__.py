"""Nights of a plant that is not what its file says, with the truth of each fault, and how a diagnosis of one is judged."""
