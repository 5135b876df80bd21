"""Control loops bound to a site: each reads it, forecasts and plans by `plant.control`, and proposes catalog actions."""
