"""Every error of netprobe, by whose fault it is.

Rule: an error is one clear line that names what and where. A lost probe is not an error, it is an outcome.
Exceptions are for our own mistakes, for bad input, for a peer that breaks a format, and for a surrounding
(operating system, cluster, server) that refuses what we need.
"""

from __future__ import annotations


class NetprobeError(Exception):
    """Base of everything netprobe raises on purpose; the command line prints it as one line, exit code 2."""


class InputError(NetprobeError):
    """What a person or a file told us is wrong.

    *where* names the place as precisely as it is known: ``file:line:column``, a field path, an option.
    """

    def __init__(self, what: str, *, where: str = "") -> None:
        self.what = what
        self.where = where
        super().__init__(f"{where}: {what}" if where else what)


class RemoteFormatError(NetprobeError):
    """Bytes from the network do not keep the format; counted and dropped, never fatal."""


class SystemRefusedError(NetprobeError):
    """The machine or a server around us refuses: no privilege, no program, a port in use."""


class HistoryAwayError(SystemRefusedError):
    """The history cannot be read or written now; what was to be stored is still with the caller."""


class HistoryDamagedError(HistoryAwayError):
    """The history's file is damaged: no later attempt will succeed with it."""


class MisuseError(NetprobeError):
    """Our own code called us in a way that cannot be right."""


class BusAwayError(SystemRefusedError):
    """The bus cannot be reached, or did not answer in time; what was to be sent is still with the caller."""
