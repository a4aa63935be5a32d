"""Names of our images: there is no default, because no registry is ours.

Rule: a name that a stranger could take one day must never run on every node of a cluster unasked.
"""

from __future__ import annotations

from netprobe.errors import InputError


def expect_image(name: str, *, where: str) -> None:
    """Raise `InputError` if *name* is empty or names no registry, which would mean Docker Hub's own images.

    >>> expect_image("registry.example.com/netprobe-agent:0.1.0", where="--image")
    >>> expect_image("netprobe.test/netprobe-agent@sha256:0123", where="--image")
    """
    if not name:
        told = (
            "name an image that you have built and pushed, such as registry.example.com/netprobe-agent:0.1.0"
        )
        raise InputError(told, where=where)
    registry, separator, _ = name.partition("/")
    if not separator or not ("." in registry or ":" in registry or registry == "localhost"):
        raise InputError(f"{name!r} names no registry: write REGISTRY/{name}", where=where)
