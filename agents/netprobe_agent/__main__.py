"""``python -m netprobe_agent``: the same as ``netprobe-agent``, without an installed console script."""

from netprobe_agent.main import main

main()
