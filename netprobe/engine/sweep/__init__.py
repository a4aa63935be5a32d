"""The sweep: masses of small questions at the speed of the wire.

Packets are matrices (``netprobe.wire.batch*``); this package owns the sockets and the clock. Read
``questions`` (what is asked), ``sweep`` (rounds), ``lanes`` (one per protocol and family), ``mmsg`` (many
packets per system call), ``ports`` (verdicts).
"""
