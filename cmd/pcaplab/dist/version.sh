#!/bin/sh
# Prints the version of a Debian package, which dpkg sorts in the order of history: of v1.2.3, v1.2.3-rc1-5-gHASH or, before the
# first tag, HASH, each perhaps with -dirty.
#
#   version.sh REVISION SECONDS    as dist.sh has them
set -eu
clean=${1%-dirty}
case $clean in
v[0-9]*-[0-9]*-g[0-9a-f]*)
	rest=${clean%-g*}
	base=${rest%-*} version=+git${rest##*-}.${clean##*-g}
	;;
v[0-9]*) base=$clean version= ;;
*)
	date=$(date -u -d "@$2" +%Y%m%d%H%M%S 2>/dev/null || date -u -r "$2" +%Y%m%d%H%M%S)
	base=v0 version=~git$date.$clean
	;;
esac
version=$(echo "${base#v}" | tr _- '~~')$version
[ "$clean" = "$1" ] || version=$version+dirty
echo "$version"
