#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the image with buildah, without a daemon, and runs it: what it says, as whom, what it may write,
# and how large it is. As root.
#
#   make image-test                             from the base that the Dockerfile names
#   make image-test BASE_ROOTFS=DIRECTORY       from a root file system with Python 3.12 in /usr/local,
#                                               where no registry can be reached (docs/image.md)
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
b() { buildah --storage-driver vfs --root "$work/store" --runroot "$work/run" "$@"; }

arguments=(--isolation chroot --network host --signature-policy "$work/policy.json" --tag postroom:test
  --build-arg VERSION=0.0.0 --build-arg COMMIT=0123456789abcdef)
if [ -n "${BASE_ROOTFS:-}" ]; then
  base=$(b from scratch)
  b copy -q "$base" "$BASE_ROOTFS" / >/dev/null
  b config --env PATH=/usr/local/bin:/usr/bin:/bin "$base"
  b commit -q --signature-policy "$work/policy.json" "$base" localhost/base >/dev/null
  arguments+=(--build-arg PYTHON=localhost/base)
fi
b bud "${arguments[@]}" .

image=$(b from --signature-policy "$work/policy.json" localhost/postroom:test)
inside() { b run --isolation chroot "$image" -- "$@"; }
fail() { echo "image: $1" >&2; exit 1; }
inside postroom --version | grep >/dev/null '0123456' || fail "it does not say its commit"
inside id -u | grep -x 65532 >/dev/null || fail "it does not run as 65532"
inside postroom crds | grep >/dev/null '^kind: CustomResourceDefinition' || fail "it does not print the definitions"
inside postroom run --help >/dev/null || fail "the operator does not start"
inside postroom deliver --help >/dev/null || fail "the worker does not start"
inside python -c 'import nats' || fail "it lacks what --nats-url needs"
if inside touch /usr/local/bin/postroom 2>/dev/null; then fail "its program can be changed"; fi
for file in LICENSE NOTICE postroom.spdx.json; do
  inside test -s "/usr/share/doc/postroom/$file" || fail "it lacks $file"
done
b inspect --type image localhost/postroom:test | grep >/dev/null 'org.opencontainers.image.licenses' || fail "it has no labels"
size=$(inside sh -c 'du -sm /usr/local/lib/python3.*/site-packages | cut -f1')
[ "$size" -le 130 ] || fail "its Python packages take $size MB"
echo "image: ok, Python packages take $size MB"
