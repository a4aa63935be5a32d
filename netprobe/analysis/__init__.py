"""Windows in; path states, graph and findings out. Pure."""
