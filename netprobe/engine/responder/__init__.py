"""The answering side of an agent: STAMP reflector over UDP, identity over HTTP."""
