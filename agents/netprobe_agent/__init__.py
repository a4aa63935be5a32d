"""The agent process of the DaemonSets; it uses only model, wire, probes, engine and bus."""
