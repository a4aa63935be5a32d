"""Rows of the decision table for agents that send no reports though their pod runs, and for clocks."""

from __future__ import annotations

from netprobe.analysis.diagnosis.symptom import Note, PartKind, TableRow
from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause
from netprobe.model.prose import Prose

_AGENT: frozenset[PartKind] = frozenset({ComponentKind.AGENT})
_BUS_PATH: frozenset[PartKind] = frozenset({ComponentKind.BUS_WAY})
_COLLECTOR: frozenset[PartKind] = frozenset({ComponentKind.COLLECTOR})

AGENT_ROWS: tuple[TableRow, ...] = (
    TableRow(
        "no-reports-one-node",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, while other agents of its cluster do: nothing is measured from there. The suspect is "
        "the path from {where} to {there}.",
        Prose(
            "On that node: does the bus's name resolve, does its address answer? Check kube-proxy and DNS "
            "there, then the agent's log."
        ),
        parts=_BUS_PATH,
        note=Note.ONE_NODE,
    ),
    TableRow(
        "no-reports-one-plane",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, nor does any other agent of that plane in {where}, while those of the other plane do: "
        "nothing is measured from there. The suspect is what they share on their path to {there}.",
        Prose("Check the NetworkPolicies of the agents' namespace, then an agent's log."),
        parts=_BUS_PATH,
        note=Note.ONE_PLANE,
    ),
    TableRow(
        "no-reports-one-cluster",
        Cause.AGENT_CUT_OFF,
        0.8,
        "{detail}, nor does any other agent of the cluster, while those of other clusters do: nothing is "
        "measured from there. The suspect is the path from {where} to {there}: gateway, link, or the bus's"
        " address.",
        Prose("Test the bus address from a node in that cluster; check its gateway and the path between."),
        parts=_BUS_PATH,
        note=Note.ONE_CLUSTER,
    ),
    TableRow(
        "no-reports-anywhere",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, nor does any other agent: nothing is measured. The suspect is the bus, or the collector.",
        Prose("Check the collector's log, its Service and the bus's certificate."),
        parts=_BUS_PATH,
        note=Note.EVERYBODY,
    ),
    TableRow(
        "no-reports-node-not-ready",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, and its API does not call {where} ready: the suspect is the node itself, or its "
        "kubelet. Nothing is measured from there.",
        Prose("Run `kubectl describe node`; check the machine and its kubelet."),
        parts=_BUS_PATH,
        note=Note.NOT_READY,
    ),
    TableRow(
        "bus-refuses-agent",
        Cause.AGENT_CUT_OFF,
        0.9,
        "{detail}: the bus refuses it. Its path to the bus works, its credentials do not.",
        Prose(
            "Compare the cluster's registration with its keys (netprobe install renews it); check the node's "
            "clock."
        ),
        parts=_BUS_PATH,
        note=Note.TURNED_AWAY,
    ),
    TableRow(
        "agent-reports-lost",
        Cause.AGENT_CUT_OFF,
        0.85,
        "No reports arrive from {where}, though {detail} others: its way to the bus is broken.",
        Prose(
            "On that node, look at the agent's log and at what lies between it and the bus: name, route, "
            "firewall and TCP port of `--bus`."
        ),
        parts=_BUS_PATH,
        note=Note.ANSWERING,
    ),
    TableRow(
        "agent-container-down",
        Cause.AGENT_SICK,
        0.9,
        "{detail}: its container does not run. The agent is sick, not the network.",
        Prose("Run `kubectl logs --previous` on its pod; check its resource limits."),
        parts=_AGENT,
        note=Note.NOT_RUNNING,
    ),
    TableRow(
        "agent-silent-on-bus",
        Cause.AGENT_SICK,
        0.9,
        "{detail}, though it is connected to the bus: the agent is sick, not the network.",
        Prose("Check the agent's log: its plan, its version."),
        parts=_AGENT,
        note=Note.ON_THE_BUS,
    ),
    TableRow(
        "agent-clock-off",
        Cause.CLOCK,
        0.95,
        "The clock of {where} is {detail}. What it measures is counted on the collector's clock; times in its"
        " log are wrong, and tokens and certificates may be refused there.",
        Prose("On that node: run `timedatectl`, then check chrony or ntpd and its time servers."),
        parts=_AGENT,
        note=Note.CLOCK_OFF,
    ),
    TableRow(
        "collector-clock-off",
        Cause.CLOCK,
        0.9,
        "The collector's clock is {detail}. Measurements are counted all the same; every time that is shown "
        "is off by as much.",
        Prose("On the collector's node: run `timedatectl`, then check chrony or ntpd and its time servers."),
        parts=_COLLECTOR,
        note=Note.MOST_CLOCKS_OFF,
    ),
)
