#!/bin/sh
# Compile Traefik into a new folder: build.sh GO FOLDER
# It goes without the DNS providers of its ACME client, which are more modules than all the rest together: the tests
# have no use for certificates from outside.
set -eu
go=$1
folder=$2
lego=github.com/go-acme/lego/v4

mkdir -p "$folder"
"$go" mod download "$lego"
cp -R "$("$go" list -m -f '{{.Dir}}' "$lego")" "$folder/lego"
cp lego/dns.go "$folder/lego/providers/dns/zz_gen_dns_providers.go"
cp go.mod go.sum "$folder"
cd "$folder"
"$go" mod edit -replace "$lego=./lego"
"$go" build -ldflags "-s -w" github.com/traefik/traefik/v3/cmd/traefik
rm -r lego
