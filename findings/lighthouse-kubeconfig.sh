#!/bin/sh
# lighthouse-kubeconfig: Submariner's lighthouse-agent refuses the one flag that leads it to a cluster from outside.
#
# Expected: `-kubeconfig FILE`, which its help lists ("Only required if out-of-cluster"), makes it use that file.
# True:     it parses its arguments a second time, for klog, with a set of flags that knows only klog's own, and ends
#           with exit code 2: "flag provided but not defined". Outside of a cluster it starts only with the token and
#           the certificate of a service account where a pod would find them.
# Version:  github.com/submariner-io/lighthouse v0.24.0
# Seen:     2026-12-01
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
go mod init example.test/agent 2>/dev/null
go get github.com/submariner-io/lighthouse/pkg/agent@v0.24.0 2>/dev/null
CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -o agent github.com/submariner-io/lighthouse/pkg/agent
echo '{"apiVersion": "v1", "kind": "Config"}' >config
echo "its help lists the flag:"
./agent -help 2>&1 | grep -A1 -e '-kubeconfig'
code=0
./agent -kubeconfig config >said 2>&1 || code=$?
echo "with the flag it ends with exit code $code and says:"
grep "kubeconfig" said | head -1
[ "$code" = 2 ] && grep -q "flag provided but not defined: -kubeconfig" said
