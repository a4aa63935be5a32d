"""The service: wires discovery, planning, bus, analysis and store together."""
