"""Manifests: what is read, and the one clear line for each mistake."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from netprobe.analysis.netpol.manifests import Manifests, load_manifests, read_manifests
from netprobe.analysis.netpol.policy import ContainerPort, Direction, PolicyProtocol
from netprobe.errors import InputError
from tests.unit.analysis.netpol.worlds import namespace, pod, policy

HEAD = (
    "apiVersion: networking.k8s.io/v1\n"
    "kind: NetworkPolicy\n"
    "metadata: {name: p, namespace: a}\n"
    "spec:\n"
    "  podSelector: {}\n"
)
PEER = HEAD + "  ingress:\n    - from:\n        - "
PORT = HEAD + "  ingress:\n    - ports:\n        - "
INGRESS = "spec.ingress[0]"
BAD = {
    "unknown field": (
        HEAD + "  ingres: []\n",
        "f.yaml:6:3: spec: the mapping contains unknown field 'ingres'",
    ),
    "unknown policy type": (
        HEAD + "  policyTypes: [ingress]\n",
        "f.yaml:6:17: spec.policyTypes[0]: Invalid enum value 'ingress'",
    ),
    "no spec": (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n",
        "f.yaml:1:1: the mapping missing required field 'spec'",
    ),
    "no name": ("apiVersion: v1\nkind: Namespace\nmetadata: {}\n", "f.yaml:3:1: metadata: "),
    "empty peer": (
        PEER + "{}\n",
        f"f.yaml:8:11: {INGRESS}.from[0]: names neither podSelector, namespaceSelector nor ipBlock",
    ),
    "block and selector": (
        PEER + "{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}\n",
        f"f.yaml:8:11: {INGRESS}.from[0]: ipBlock stands alone, without selectors",
    ),
    "no network": (
        PEER + "ipBlock: {cidr: 10.0.0.1}\n",
        f"f.yaml:8:21: {INGRESS}.from[0].ipBlock.cidr: '10.0.0.1' is not a network such as 10.0.0.0/16",
    ),
    "except outside": (
        PEER + "ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}\n",
        f"f.yaml:8:48: {INGRESS}.from[0].ipBlock.except[0]: 11.0.0.0/16 is not a smaller part of 10.0.0.0/8",
    ),
    "except everything": (
        PEER + "ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}\n",
        f"f.yaml:8:48: {INGRESS}.from[0].ipBlock.except[0]: 10.0.0.0/8 is not a smaller part of 10.0.0.0/8",
    ),
    "except of another version": (
        PEER + "ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/64']}\n",
        f"f.yaml:8:48: {INGRESS}.from[0].ipBlock.except[0]: fd00::/64 is not a smaller part of 10.0.0.0/8",
    ),
    "In without values": (
        PEER + "podSelector: {matchExpressions: [{key: k, operator: In}]}\n",
        f"f.yaml:8:44: {INGRESS}.from[0].podSelector.matchExpressions[0].values: In takes at least one value",
    ),
    "Exists with values": (
        PEER + "podSelector: {matchExpressions: [{key: k, operator: Exists, values: [x]}]}\n",
        f"f.yaml:8:71: {INGRESS}.from[0].podSelector.matchExpressions[0].values: Exists takes no values",
    ),
    "a label that is not text": (PEER + "podSelector: {matchLabels: {v: 1}}\n", "f.yaml:8:"),
    "port out of range": (
        PORT + "port: 70000\n",
        f"f.yaml:8:11: {INGRESS}.ports[0].port: 70000: a port is within 1–65535",
    ),
    "endPort without port": (
        PORT + "endPort: 80\n",
        f"f.yaml:8:11: {INGRESS}.ports[0].endPort: goes only with a port given as a number",
    ),
    "endPort with a name": (
        PORT + "{port: http, endPort: 80}\n",
        f"f.yaml:8:24: {INGRESS}.ports[0].endPort: goes only with a port given as a number",
    ),
    "endPort before port": (
        PORT + "{port: 81, endPort: 80}\n",
        f"f.yaml:8:22: {INGRESS}.ports[0].endPort: 80 comes before port 81",
    ),
    "a number as text": (
        PORT + "port: '80'\n",
        f"f.yaml:8:11: {INGRESS}.ports[0].port: '80' is neither a number nor a port's name",
    ),
    "unknown protocol": (PORT + "protocol: tcp\n", f"f.yaml:8:11: {INGRESS}.ports[0].protocol: "),
    "second document": ("---\n" + HEAD + "---\n" + HEAD.replace("spec:", "spce:"), "f.yaml:"),
    "twice": (
        HEAD + "---\n" + HEAD,
        "f.yaml:7:1: NetworkPolicy a/p stands already at f.yaml:1:1",
    ),
    "no kind": ("metadata: {name: x}\n", "f.yaml:1:1: has no 'kind'"),
    "no object": ("- 1\n", "f.yaml:1:1: is not a Kubernetes object"),
    "no list": ("kind: List\nitems: 3\n", "f.yaml:2:1: items: is not a list"),
    "bad address": (
        "kind: Pod\nmetadata: {name: x}\nspec: {}\nstatus: {podIP: nowhere}\n",
        "f.yaml:4:1: status: 'nowhere' does not appear to be an IPv4 or IPv6 address",
    ),
    "inside a list": (
        "kind: PodList\nitems:\n  - metadata: {name: x}\n    spec: {hostNetwork: maybe}\n",
        "f.yaml:4:12: items[0].spec.hostNetwork: ",
    ),
    "anchor": ("kind: List\nitems: &a []\n", "f.yaml:2:8: anchors and aliases are not allowed ('a')"),
    "no yaml": ("kind: [\n", "f.yaml:"),
}


def read(*texts: str) -> Manifests:
    return read_manifests(("f.yaml", text) for text in texts)


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_that_says_where(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_documents_lists_and_lists_of_a_kind_are_read_alike() -> None:
    one = pod("a/p", ips=("10.0.0.1",))
    bare = {key: one[key] for key in ("metadata", "spec", "status")}
    stream = f"# nothing yet\n---\n---\n{json.dumps(one)}\n---\n{json.dumps(policy('a/n', {}))}\n"
    listed = json.dumps({"kind": "List", "items": [one, policy("a/n", {})]})
    of_a_kind = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [bare]})
    assert read(stream) == read(listed) == read(of_a_kind, json.dumps(policy("a/n", {})))


def test_a_pod_is_read_as_policies_see_it() -> None:
    raw = pod("a/p", ips=("10.0.0.1", "fd00::1"), ports=({"containerPort": 53, "protocol": "UDP"},), node="n")
    raw["spec"]["initContainers"] = [
        {"ports": [{"containerPort": 1}]},
        {"ports": [{"containerPort": 2, "name": "side"}], "restartPolicy": "Always"},
    ]
    (found,) = read(json.dumps(raw)).pods
    assert found.addresses == (ip_address("10.0.0.1"), ip_address("fd00::1"))
    assert found.ports == (
        ContainerPort(PolicyProtocol.UDP, 53),
        ContainerPort(PolicyProtocol.TCP, 2, "side"),
    )
    assert (found.node, found.host_network) == ("n", False)


def test_without_a_namespace_it_is_the_default_one() -> None:
    (found,) = read(HEAD.replace(", namespace: a", "")).policies
    assert found.qualified == "default/p"
    assert found.directions == {Direction.INGRESS}


def test_what_is_left_out_is_said() -> None:
    ended, waiting = pod("a/ended", ips=("10.0.0.1",)), pod("a/waiting", ips=())
    ended["status"]["phase"] = "Succeeded"
    foreign = {**policy("a/n", {}), "apiVersion": "projectcalico.org/v3"}
    others = [
        {"kind": "CiliumNetworkPolicy"},
        {"kind": "CiliumNetworkPolicy"},
        foreign,
        {"kind": "AllowList"},
    ]
    there = pod("b/there", ips=("10.0.0.2",))
    items = [namespace("a"), ended, waiting, there, *others]
    found = read(json.dumps({"kind": "List", "items": items}))
    assert [each.name for each in found.pods] == ["there"]
    assert found.policies == ()
    assert found.notes == (
        "pod a/ended has ended and is left out",
        "pod a/waiting has no address yet and is left out",
        "namespace b is not described: taken to have no label but its name",
        "1 of kind AllowList not read: the verdicts leave it out",
        "2 of kind CiliumNetworkPolicy not read: the verdicts leave it out",
        "1 of kind NetworkPolicy (projectcalico.org/v3) not read: the verdicts leave it out",
    )


def test_a_directory_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/one.yml").write_text(HEAD)
    (tmp_path / "two.json").write_text(json.dumps(namespace("a", team="x")))
    (tmp_path / "README.md").write_text("{")
    found = load_manifests([tmp_path])
    assert [each.qualified for each in found.policies] == ["a/p"]
    assert [each.labels for each in found.namespaces] == [
        (("kubernetes.io/metadata.name", "a"), ("team", "x"))
    ]


def test_a_directory_without_manifests_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.yaml, \.yml or \.json file"):
        load_manifests([tmp_path])
    with pytest.raises(InputError, match=r"no\.yaml: cannot be read: No such file"):
        load_manifests([tmp_path / "no.yaml"])
