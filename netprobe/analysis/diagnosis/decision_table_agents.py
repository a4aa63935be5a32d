"""Rows of the decision table for agents that run, as their cluster says, and do not report (`arrivals`)."""

from __future__ import annotations

from netprobe.analysis.diagnosis.symptom import TableRow
from netprobe.model.finding import Cause

ABSENCES: tuple[TableRow, ...] = (
    TableRow(
        "30",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, while other agents of its cluster do: nothing is measured from there. The suspect is the "
        "way from {where} to {there}.",
        "On that node: does the bus's name resolve, does its address answer? Look at kube-proxy and DNS "
        "there, then at the agent's log.",
        part="bus-way",
        note="one",
    ),
    TableRow(
        "31",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, nor does any other agent of that plane in {where}, while those of the other do: nothing "
        "is measured from there. The suspect is what they have in common on their way to {there}.",
        "Look at NetworkPolicies of the agents' namespace, then at an agent's log.",
        part="bus-way",
        note="plane",
    ),
    TableRow(
        "32",
        Cause.AGENT_CUT_OFF,
        0.8,
        "{detail}, nor does any other agent of the cluster, while those of other clusters do: nothing is "
        "measured from there. The suspect is the way from {where} to {there}: gateway, link, or the door.",
        "Ask the bus's address from a node of that cluster; look at its gateway and at what lies between.",
        part="bus-way",
        note="cluster",
    ),
    TableRow(
        "33",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, nor does anybody else: nothing is measured. The suspect is the bus, or the collector.",
        "Look at the collector's log, at its Service and at the bus's certificate.",
        part="bus-way",
        note="everybody",
    ),
    TableRow(
        "34",
        Cause.AGENT_CUT_OFF,
        0.7,
        "{detail}, and its API does not call {where} ready: the suspect is the node itself, or its kubelet. "
        "Nothing is measured from there.",
        "kubectl describe node; look at the machine and at its kubelet.",
        part="bus-way",
        note="not-ready",
    ),
    TableRow(
        "35",
        Cause.AGENT_CUT_OFF,
        0.9,
        "{detail}: the bus turns it away. Its way to the bus works, its credentials do not.",
        "Compare the cluster's registration with its keys (netprobe install renews it) and the node's clock.",
        part="bus-way",
        note="turned-away",
    ),
    TableRow(
        "36",
        Cause.AGENT_SICK,
        0.9,
        "{detail}: its container does not run. The agent is sick, not the network.",
        "kubectl logs --previous on its pod; its limits.",
        part="agent",
        note="not-running",
    ),
    TableRow(
        "37",
        Cause.AGENT_SICK,
        0.9,
        "{detail}, though it is on the bus: the agent is sick, not the network.",
        "Look at the agent's log: its plan, its version.",
        part="agent",
        note="on-the-bus",
    ),
)
