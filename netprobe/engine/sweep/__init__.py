"""The sweep: probes of many addresses and ports, with packets built, sent and matched as arrays.

Packets are matrices (``netprobe.wire.batch*``); this package owns the sockets and the clock. Read ``targets``
(questions and results), ``sweep`` (rounds), ``protocols`` (one handler per protocol and family), ``mmsg``
(many packets per system call), ``ports`` (verdicts).
"""
