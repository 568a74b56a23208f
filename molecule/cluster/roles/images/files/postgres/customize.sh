#!/bin/sh
# Run by mmdebstrap with the new root as $1: from Debian's PostgreSQL to the file layout of the official image.
set -eu
root=$1
version=$(ls "$root/usr/lib/postgresql")

install -m 0755 "$(dirname "$0")/entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
install -d "$root/docker-entrypoint-initdb.d"
install -d -o 999 -g 999 -m 1777 "$root/var/lib/postgresql/data"
install -d -o 999 -g 999 -m 3777 "$root/run/postgresql"
for program in "$root/usr/lib/postgresql/$version/bin"/*; do
  ln -sf "/usr/lib/postgresql/$version/bin/${program##*/}" "$root/usr/local/bin/${program##*/}"
done
sed -i "s/^#\?listen_addresses = .*/listen_addresses = '*'/" "$root/usr/share/postgresql/$version/postgresql.conf.sample"
# Just-in-time compilation (an optional library of 130 MB) and the Perl that only Debian's own wrappers need.
rm -rf "$root/usr/lib/postgresql/$version/lib/bitcode" "$root/usr/lib/postgresql/$version/lib"/llvmjit*
rm -rf "$root"/usr/lib/*/libLLVM* "$root"/usr/lib/llvm* "$root"/usr/share/perl "$root"/usr/lib/*/perl
