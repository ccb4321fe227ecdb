#!/bin/sh
# node.sh NODE WORD...: node with these words in client/web; skipped where it is too old or has not the packages.
set -eu
node=$1
[ -d node_modules/esbuild ] || { echo "skipped: npm ci was not run in client/web"; exit 77; }
"$node" -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "skipped: node is too old"; exit 77; }
exec "$@"
