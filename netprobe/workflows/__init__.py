"""Use cases without a command line: commands, notebooks and the HTTP API share them."""
