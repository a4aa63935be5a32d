"""A second, deliberately naive reading of NetworkPolicies, to compare ours with.

Written from the API reference (NetworkPolicy v1) and the concept page "Network Policies" alone. It works on
raw manifests, shares no code with netprobe, caches nothing and answers one question at a time.
"""

from __future__ import annotations

import ipaddress
from typing import Any

Raw = dict[str, Any]


def blockers(
    world: Raw, source: Raw, target: Raw, version: int, protocol: str, port: int
) -> tuple[str | None, set[str]]:
    """The direction that shuts the way first, and the policies that isolate there; (None, empty) when open.

    *world* holds ``policies``, ``namespaces`` and ``pods`` as manifests.
    """
    # "A Pod cannot block access to itself."
    if source["metadata"] == target["metadata"]:
        return None, set()
    # "Traffic to and from the node where a Pod is running is always allowed."
    a_host = source["spec"].get("hostNetwork") or target["spec"].get("hostNetwork")
    if a_host and source["spec"]["nodeName"] == target["spec"]["nodeName"]:
        return None, set()
    for section, subject, other in (("egress", source, target), ("ingress", target, source)):
        isolating = isolating_policies(world, subject, section)
        opened = False
        for policy in isolating:
            for rule in policy["spec"].get(section) or []:
                peers = rule.get("from" if section == "ingress" else "to")
                to_whom = peers_match(world, policy, peers, other, version)
                if to_whom and ports_match(rule.get("ports"), target, protocol, port):
                    opened = True
        if isolating and not opened:
            return section, {f"{home_of(policy)}/{policy['metadata']['name']}" for policy in isolating}
    return None, set()


def isolating_policies(world: Raw, subject: Raw, section: str) -> list[Raw]:
    found: list[Raw] = []
    if subject["spec"].get("hostNetwork"):
        return found
    for policy in world["policies"]:
        chosen = selector_matches(policy["spec"].get("podSelector") or {}, labels_of(subject))
        if home_of(policy) == home_of(subject) and chosen and section in types_of(policy):
            found.append(policy)
    return found


def home_of(thing: Raw) -> str:
    return str(thing["metadata"].get("namespace", "default"))


def types_of(policy: Raw) -> list[str]:
    given = policy["spec"].get("policyTypes")
    if given:
        return [each.lower() for each in given]
    if policy["spec"].get("egress"):
        return ["ingress", "egress"]
    return ["ingress"]


def labels_of(thing: Raw) -> dict[str, str]:
    return thing["metadata"].get("labels") or {}


def selector_matches(selector: Any, labels: dict[str, str]) -> bool:
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for line in selector.get("matchExpressions") or []:
        key, operator = line["key"], line["operator"]
        if operator == "Exists" and key not in labels:
            return False
        if operator == "DoesNotExist" and key in labels:
            return False
        if operator == "In" and (key not in labels or labels[key] not in line["values"]):
            return False
        if operator == "NotIn" and key in labels and labels[key] in line["values"]:
            return False
    return True


def peers_match(world: Raw, policy: Raw, peers: list[Raw] | None, other: Raw, version: int) -> bool:
    if peers is None or len(peers) == 0:
        return True
    for peer in peers:
        if peer.get("ipBlock") is not None:
            if block_matches(peer["ipBlock"], other, version):
                return True
        elif not other["spec"].get("hostNetwork") and selectors_match(world, policy, peer, other):
            return True
    return False


def selectors_match(world: Raw, policy: Raw, peer: Raw, other: Raw) -> bool:
    pod_selector, namespace_selector = peer.get("podSelector"), peer.get("namespaceSelector")
    if namespace_selector is None:
        return home_of(policy) == home_of(other) and selector_matches(pod_selector, labels_of(other))
    namespace_labels = {"kubernetes.io/metadata.name": home_of(other)}
    for each in world["namespaces"]:
        if each["metadata"]["name"] == home_of(other):
            namespace_labels = {**labels_of(each), **namespace_labels}
    if not selector_matches(namespace_selector, namespace_labels):
        return False
    return pod_selector is None or selector_matches(pod_selector, labels_of(other))


def block_matches(block: Raw, other: Raw, version: int) -> bool:
    for entry in other["status"]["podIPs"]:
        address = ipaddress.ip_address(entry["ip"])
        if address.version != version:
            continue
        if address not in ipaddress.ip_network(block["cidr"]):
            return False
        return all(address not in ipaddress.ip_network(hole) for hole in block.get("except") or [])
    return False


def ports_match(ports: list[Raw] | None, target: Raw, protocol: str, port: int) -> bool:
    if ports is None or len(ports) == 0:
        return True
    for each in ports:
        if each.get("protocol", "TCP") != protocol:
            continue
        wanted = each.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, int):
            if wanted <= port <= each.get("endPort", wanted):
                return True
            continue
        for container in target["spec"]["containers"]:
            for own in container.get("ports") or []:
                same = own.get("name") == wanted and own.get("protocol", "TCP") == protocol
                if same and own["containerPort"] == port:
                    return True
    return False
