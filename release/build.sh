#!/usr/bin/env bash
# A release: images from bases by digest, package, bills of materials, checksums, signatures. REGISTRY names where
# the images go: no registry is ours. Needs buildah, syft and cosign; nothing is pushed before everything is built.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python out=build/release

fail() {
  echo "release: $1" >&2
  exit 2
}

[ -n "${REGISTRY:-}" ] || fail "REGISTRY is needed, such as registry.example.com/platform: no registry is ours"
for tool in buildah syft cosign git; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done
[ -z "$(git status --porcelain)" ] || fail "the work tree has changes that are not committed"
version=$($python -c 'import netprobe; print(netprobe.__version__)')

$python -m release verify # each base is still served as its digest says
read -ra arguments <<<"$($python -m release arguments)"
rm -rf "$out"
$python -m release bills "$out"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) $python -m hatchling build --directory "$out"

for image in netprobe:Dockerfile netprobe-agent:agents/Dockerfile; do
  buildah build --pull-always "${arguments[@]}" --timestamp "$(git log -1 --format=%ct)" \
    --file "${image#*:}" --tag "$REGISTRY/${image%%:*}:$version" .
done
for image in netprobe netprobe-agent; do
  buildah push --digestfile "$out/$image.digest" "$REGISTRY/$image:$version"
  pinned=$REGISTRY/$image@$(cat "$out/$image.digest")
  syft scan "registry:$pinned" --output "cyclonedx-json=$out/$image.image.cdx.json"
  cosign sign --yes "$pinned"
  cosign attest --yes --type cyclonedx --predicate "$out/$image.image.cdx.json" "$pinned"
done
$python -m release sums "$out"
cosign sign-blob --yes --bundle "$out/SHA256SUMS.sigstore.json" "$out/SHA256SUMS"
echo "done: $out; publish the digests with it"
