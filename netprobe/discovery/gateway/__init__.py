"""What gateways know about themselves: one file per collector, one line each in ``registry``."""
