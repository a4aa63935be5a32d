"""Packets that Scapy builds and reads at the asker's side; an agent only sends and hears them.

Scapy remarks on this machine's interfaces when it is loaded. None of them is used, so it is told to be quiet
here, before any module of this package loads it.
"""

from __future__ import annotations

import logging

logging.getLogger("scapy").setLevel(logging.ERROR)
