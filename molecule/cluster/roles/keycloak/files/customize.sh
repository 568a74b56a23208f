#!/bin/sh
# Run by mmdebstrap with the new root as $1: Keycloak where its official image has it.
set -eu
root=$1
mkdir -p "$root/opt/keycloak"
tar -xzf "$KEYCLOAK" -C "$root/opt/keycloak" --strip-components=1
rm -f "$root"/opt/keycloak/bin/*.bat
chown -R 1000:0 "$root/opt/keycloak"
chmod -R g+rwX "$root/opt/keycloak"
rm -rf "$root"/usr/share/doc "$root"/usr/share/perl "$root"/usr/lib/*/perl "$root"/var/cache/apt/archives
