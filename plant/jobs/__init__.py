"""Work on the nodes: inference pools, training jobs, and the scheduler that places them."""
