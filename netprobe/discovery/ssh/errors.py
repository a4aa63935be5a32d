"""What can go wrong between us and a host, each one clear line that names the host."""

from __future__ import annotations

from netprobe.errors import RemoteFormatError, SystemRefusedError


class SshError(SystemRefusedError):
    """A host cannot be reached, does not let us in, or did not finish what it was asked."""


class NoAnswerError(SshError):
    """Nothing came back from the host itself; what stands before it let us through."""


class HostKeyError(SshError):
    """A server's key is unknown or is not the one that we know; nothing was sent to it."""


class HostOutputError(RemoteFormatError):
    """What a command printed on a host is not what that command prints."""
