#!/bin/sh
# Starts PostgreSQL through the image's own entrypoint. A first start that was cut off leaves a half-made
# directory, which the entrypoint would take for a finished one. The mark is there only until
# initialisation ends, and no client can connect before that: what is removed here never held data.
set -eu
volume="${PGDATA%/*}"
if [ ! -e "$PGDATA" ]; then
  for other in "$volume"/*; do
    case "$other" in
      "$volume/*" | */lost+found | */initialising) ;;
      *)
        echo "start: the volume holds $other, which is not of this database; it starts on its own volume only" >&2
        exit 1
        ;;
    esac
  done
fi
mark="${PGDATA%/*}/initialising"
if [ -e "$mark" ]; then
  echo "start: the first start was interrupted; starting it over"
  rm -rf "$PGDATA"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : >"$mark"
fi
exec docker-entrypoint.sh postgres "$@"
