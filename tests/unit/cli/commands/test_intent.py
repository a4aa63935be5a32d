"""``netprobe intent from-networkpolicies``: manifests in, verdicts or an intent out."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from netprobe.cli.main import cli

MANIFESTS = """\
kind: PodList
apiVersion: v1
items:
  - metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{ports: [{containerPort: 8080}, {containerPort: 9, protocol: SCTP}]}]}
    status: {podIP: 10.0.0.1}
  - metadata: {name: db, namespace: shop, labels: {app: db}}
    spec: {containers: [{ports: [{containerPort: 5432, name: pg}]}]}
    status: {podIP: 10.0.0.2}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: pg}]
"""
NOTE = "note: namespace shop is not described: taken to have no label but its name\n"


def run(path: Path, *words: str) -> Result:
    (path / "all.yaml").write_text(MANIFESTS)
    return CliRunner().invoke(cli, ["intent", "from-networkpolicies", "-f", str(path), *words])


def test_the_table_names_who_decides(tmp_path: Path) -> None:
    result = run(tmp_path, "-o", "table", "--port", "tcp/22")
    assert result.exit_code == 0
    assert result.stderr == NOTE
    assert result.stdout == (
        "deny   shop/web → shop/db: tcp/22\n"
        "       ingress by shop/only-web\n"
        "allow  shop/web → shop/db: tcp/5432\n"
        "       ingress by shop/only-web\n"
        "allow  shop/db → shop/web: sctp/9 tcp/22 tcp/8080\n"
        "       no policy applies\n"
    )


def test_the_intent_is_one_that_check_reads(tmp_path: Path) -> None:
    written = run(tmp_path)
    assert written.stderr == NOTE
    (tmp_path / "intent.yaml").write_text(written.stdout)
    checked = CliRunner().invoke(cli, ["intent", "check", str(tmp_path / "intent.yaml")])
    assert checked.output == (
        "allow  shop/web → shop/db: tcp/5432\n"
        "       allow shop/db: ingress by shop/only-web\n"
        "allow  shop/db → shop/web: sctp/9 tcp/8080\n"
        "       allow shop/web: no policy applies\n"
    )


def test_nothing_to_ask_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path, "--family", "6")
    assert result.exit_code != 0
    assert "no two pods with an IPv6 address and a port to ask" in f"{result.exception}{result.output}"


def test_a_port_policies_cannot_name_is_an_error(tmp_path: Path) -> None:
    for text, said in (("icmp", "a NetworkPolicy says nothing about it"), ("tcp/0", "a port is within")):
        result = run(tmp_path, "--port", text)
        assert result.exit_code != 0
        assert "--port: " in f"{result.exception}{result.output}"
        assert said in f"{result.exception}{result.output}"
