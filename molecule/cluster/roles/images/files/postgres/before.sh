#!/bin/sh
# Run by mmdebstrap before the packages, with the new root as $1: the official image's uid, and no cluster of Debian's.
set -eu
echo 'postgres:x:999:' >>"$1/etc/group"
echo 'postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash' >>"$1/etc/passwd"
echo 'postgres:*:19000::::::' >>"$1/etc/shadow"
mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.conf"
