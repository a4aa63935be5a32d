"""Several clusters, tunnels and faults inside one Linux machine."""
