"""The DaemonSet's process: thin; it knows only model, wire, probes, engine and bus."""
