"""The ``netprobe-agent`` command: ``serve`` on the bus, ``run`` and ``stream`` without one.

Packages are imported when a command runs, so that ``--help`` and usage errors are quick.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe import __version__, logs
from netprobe.errors import InputError, NetprobeError
from netprobe.model.names import AgentId

if TYPE_CHECKING:
    from netprobe.bus.login import Login, ServerTrust

DEFAULT_PORT = 9771
DEFAULT_SPOOL_MIB = 64


def main(argv: list[str] | None = None) -> None:
    """Run the agent; a known error is one line on stderr and exit code 2."""
    arguments = _parser().parse_args(argv)
    try:
        logs.set_up(logs.choose_settings(os.environ, verbosity=arguments.verbose, default="info"))
        arguments.command(arguments)
    except NetprobeError as error:
        print(f"netprobe-agent: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netprobe-agent", description="Runs the checks of its plan and answers other agents."
    )
    parser.add_argument("--version", action="version", version=f"netprobe-agent {__version__}")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="log every step to stderr (also NETPROBE_LOG=debug)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run the plans from the bus until stopped"))
    _add_run(commands.add_parser("run", help="run a plan from a file, without a bus"))
    _add_stream(commands.add_parser("stream", help="run plans and questions from stdin, one JSON line each"))
    _add_wait(
        commands.add_parser("wait", help="do nothing until stopped, to keep a pod running between streams")
    )
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--agent", required=True, metavar="ID", help="cluster/node/plane; plane is pod or host"
    )
    parser.add_argument("--bus", required=True, metavar="URL", help="tls://HOST:PORT")
    parser.add_argument(
        "--bus-at", default="", metavar="IP:PORT",
        help="find the bus there, as at the end of a tunnel; its certificate is still for --bus",
    )  # fmt: skip
    login = parser.add_mutually_exclusive_group(required=True)
    login.add_argument("--seed", type=Path, metavar="FILE", help="this agent's nkey seed")
    login.add_argument(
        "--token", type=Path, metavar="FILE", help="projected ServiceAccount token of this agent's pod"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="CA certificates to verify the bus with")
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE", help="client certificate, if the bus requires one"
    )
    parser.add_argument("--certificate-key", type=Path, metavar="FILE", help="private key of --certificate")
    parser.add_argument(
        "--address", default="", metavar="IP,IP", help="addresses of this agent for its peers (status.podIPs)"
    )
    parser.add_argument(
        "--spool", required=True, type=Path, metavar="DIR", help="folder for reports while the bus is down"
    )
    parser.add_argument("--spool-mib", type=_positive, default=DEFAULT_SPOOL_MIB, metavar="MIB")
    _add_common(parser)
    parser.add_argument(
        "--packets",
        default="",
        metavar="PROTOCOLS",
        help="protocols of which packets that an asker built are sent: all (default), none, or a list",
    )
    parser.set_defaults(command=_serve)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", required=True, type=Path, metavar="FILE", help="a plan as JSON")
    parser.add_argument("--output", default="-", metavar="FILE", help="JSON lines; - is standard output")
    parser.add_argument(
        "--intervals", type=_positive, default=None, metavar="N", help="stop after N intervals"
    )
    _add_common(parser)
    parser.set_defaults(command=_run)


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", required=True, metavar="ID", help="cluster/node/plane")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="PORT", help="port on which peers are answered"
    )
    parser.set_defaults(command=_stream)


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_positive, default=3600, metavar="N", help="stop after N seconds")
    parser.set_defaults(command=_wait)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="PORT", help="port on which peers are answered"
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="CIDR", help="further targets that may be asked"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return number


def _serve(arguments: argparse.Namespace) -> None:
    from netprobe_agent.questions import parse_allowed, parse_protocols  # noqa: PLC0415
    from netprobe_agent.serve import ServeOptions, serve  # noqa: PLC0415

    agent = _agent(arguments.agent)
    options = ServeOptions(
        agent=agent,
        bus=arguments.bus,
        bus_at=_bus_at(arguments.bus_at),
        login=_login(arguments, agent),
        trust=_trust(arguments),
        addresses=_addresses(arguments.address),
        spool=arguments.spool,
        port=arguments.port,
        spool_bytes=arguments.spool_mib * 1024 * 1024,
        allowed=parse_allowed(arguments.allow),
        protocols=parse_protocols(arguments.packets) if arguments.packets else None,
    )
    asyncio.run(serve(options))


def _login(arguments: argparse.Namespace, agent: AgentId) -> Login:
    from netprobe.bus.keys import read_seed  # noqa: PLC0415
    from netprobe.bus.login import SeedLogin, TokenLogin  # noqa: PLC0415

    return TokenLogin(agent, arguments.token) if arguments.token else SeedLogin(read_seed(arguments.seed))


def _trust(arguments: argparse.Namespace) -> ServerTrust | None:
    from netprobe.bus.login import ServerTrust  # noqa: PLC0415

    if arguments.certificate_key and not arguments.certificate:
        raise InputError("requires --certificate", where="--certificate-key")
    if not (arguments.ca or arguments.certificate):
        return None
    return ServerTrust(arguments.ca, arguments.certificate, arguments.certificate_key)


def _addresses(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(part.strip())) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(str(error), where="--address") from error


def _bus_at(text: str) -> str:
    host, _, port = text.rpartition(":")
    try:
        if text:
            ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
            _port(port)
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise InputError(f"{text!r} is not IP:PORT", where="--bus-at") from error
    return text


def _agent(text: str) -> AgentId:
    try:
        return AgentId.parse(text)
    except InputError as error:
        raise InputError(error.what, where="--agent") from error


def _stream(arguments: argparse.Namespace) -> None:
    from netprobe_agent.stream import stream  # noqa: PLC0415

    asyncio.run(stream(_agent(arguments.agent), port=arguments.port))


def _wait(arguments: argparse.Namespace) -> None:
    from netprobe_agent.stream import wait  # noqa: PLC0415

    wait(arguments.seconds)


def _run(arguments: argparse.Namespace) -> None:
    from netprobe.model.window import Measured  # noqa: PLC0415
    from netprobe.wire.measured_json import encode_measured  # noqa: PLC0415
    from netprobe_agent.questions import parse_allowed  # noqa: PLC0415
    from netprobe_agent.run import open_output, read_plan, restrict, run  # noqa: PLC0415

    plan, refused = restrict(read_plan(arguments.plan), parse_allowed(arguments.allow))
    for line in refused:
        print(f"netprobe-agent: {line}", file=sys.stderr)
    with open_output(arguments.output) as output:

        def write(measured: Measured) -> None:
            output.write(encode_measured(measured).decode() + "\n")
            output.flush()

        asyncio.run(run(plan, port=arguments.port, intervals=arguments.intervals, write=write))
