#!/bin/sh
# Starts PostgreSQL through the image's own entrypoint. A first start that was cut off leaves a half-made
# directory, which the entrypoint would take for a finished one. The mark is there only until
# initialisation ends, and no client can connect before that: what is removed here never held data.
set -eu
mark="${PGDATA%/*}/initialising"
if [ -e "$mark" ]; then
  echo "start: the first start was interrupted; starting it over"
  rm -rf "$PGDATA"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : >"$mark"
fi
exec docker-entrypoint.sh postgres "$@"
