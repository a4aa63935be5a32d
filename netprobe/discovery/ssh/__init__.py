"""Plain hosts, gateways and bastions over SSH; the only room that knows asyncssh."""
