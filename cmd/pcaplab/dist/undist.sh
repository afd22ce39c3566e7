#!/bin/sh
# Removes from the folder DIST what dist.sh made there, as its SHA256SUMS lists it, and the folder if nothing else is in it.
#
#   undist.sh DIST
set -eu
[ -f "$1/SHA256SUMS" ] || exit 0
cd "$1"
dist=$(pwd)
sed -n 's/^[0-9a-f]\{64\}  \(pcaplab[A-Za-z0-9.+~_-]*\)$/\1/p' SHA256SUMS | while read -r file; do
	rm -f "./$file"
done
rm -f SHA256SUMS
cd /
rmdir "$dist" 2>/dev/null || :
