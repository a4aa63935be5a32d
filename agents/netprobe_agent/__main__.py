"""``python -m netprobe_agent``: the same as ``netprobe-agent``, where no console script is installed."""

from netprobe_agent.main import main

main()
