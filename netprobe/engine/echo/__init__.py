"""Echo checks (ICMP and UDP) of a plan, many packets per system call."""
