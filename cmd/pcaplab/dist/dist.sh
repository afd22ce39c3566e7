#!/bin/sh
# Makes in the folder DIST what users get: static Linux binaries, Debian packages, licences, and SHA256SUMS over all of it.
# The octets depend on the sources, the revision, the time and the Go and Debian tools, and on nothing else. make dist calls it.
#
#   dist.sh DIST REVISION SECONDS    REVISION as git describe prints it; SECONDS since 1970 is the date of all files
set -eu
umask 022

fail() {
	echo "dist: $*" >&2
	exit 1
}

[ $# = 3 ] || fail "want DIST, REVISION and SECONDS"
dist=$1 revision=$2 epoch=$3
: "${GO:=go}" "${MAINTAINER:=The pcaplab developers <pcaplab@example.org>}"
case $revision in
'') fail "no revision: run it in a git checkout, or say make dist REVISION=v1.2.3 SOURCE_DATE_EPOCH=1700000000" ;;
*[!A-Za-z0-9.+~_-]*) fail "revision $revision: want letters, digits and . + ~ _ - only" ;;
esac
case $epoch in
'' | *[!0-9]*) fail "SOURCE_DATE_EPOCH '$epoch': want seconds since 1970" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
cd "$here/../../.."
work=$(mktemp -d "$dist/.making.XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
made=$work/made
mkdir "$made" "$work/home"

# The user's settings of Go serve to fetch modules; what compiles them sees none.
goroot=$(GOWORK=off "$GO" env GOROOT)
gocache=$("$GO" env GOCACHE)
gomodcache=$("$GO" env GOMODCACHE)
for arch in amd64 arm64 arm; do
	GOOS=linux GOARCH=$arch CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly "$GO" list -deps ./cmd/pcaplab >/dev/null
done

# hermetic runs a command in an environment that is the same everywhere.
hermetic() {
	env -i PATH="$PATH" HOME="$work/home" TMPDIR="$work" LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH="$epoch" \
		GOROOT="$goroot" GOCACHE="$gocache" GOMODCACHE="$gomodcache" GOENV=off GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off \
		GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0 DPKG_DEB_THREADS_MAX=1 "$@"
}

# compile FILE [FLAG...] builds the program; the caller sets GOOS and the like by leading assignments.
compile() {
	file=$1
	shift
	hermetic "$@" -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X pcaplab/cmd/cli.revision=$revision" -o "$file" ./cmd/pcaplab
}

echo "dist: pcaplab $revision into $dist"
compile "$made/pcaplab-linux-amd64" GOOS=linux GOARCH=amd64 GOAMD64=v1 "$goroot/bin/go" build
compile "$made/pcaplab-linux-arm64" GOOS=linux GOARCH=arm64 GOARM64=v8.0 "$goroot/bin/go" build
compile "$made/pcaplab-linux-armv7" GOOS=linux GOARCH=arm GOARM=7 "$goroot/bin/go" build
compile "$made/pcaplab-linux-armv6" GOOS=linux GOARCH=arm GOARM=6 "$goroot/bin/go" build

# licences prints who else's work is in the binaries, and under which terms.
licences() {
	cat <<-END
		pcaplab
		Copyright 2026 The pcaplab developers
		Licensed under the Apache License, Version 2.0. On Debian systems its text is in
		/usr/share/common-licenses/Apache-2.0; elsewhere in https://www.apache.org/licenses/LICENSE-2.0

		The binaries are linked statically and contain what is listed below, under the terms given there.
	END
	printf 'Go\t%s\t%s\n' "$(head -n 1 "$goroot/VERSION")" "$goroot" >"$work/modules"
	for arch in amd64 arm64 arm; do
		hermetic GOOS=linux GOARCH=$arch "$goroot/bin/go" list -deps \
			-f '{{with .Module}}{{if not .Main}}{{.Path}}{{"\t"}}{{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}' ./cmd/pcaplab
	done >>"$work/modules"
	LC_ALL=C sort -u "$work/modules" | while IFS='	' read -r name version dir; do
		(cd "$dir" && find . -maxdepth 1 -type f; cd "$dir" && find ./licenses ./THIRD_PARTY_LICENSES -type f 2>/dev/null || :) |
			grep -i -E '^\./(licen[cs]e|copying|notice|patents|licenses/|third_party)' | LC_ALL=C sort >"$work/texts"
		[ -s "$work/texts" ] || fail "$name $version has no licence in $dir"
		while read -r text; do
			printf '\n======== %s %s: %s\n\n' "$name" "$version" "${text#./}"
			tr -d '\r' <"$dir/$text" | LC_ALL=C awk '
				/^[ \t]*Apache License$/ { print "Apache License, Version 2.0: see above."; left = 1 }
				/^[ \t]*GNU GENERAL PUBLIC LICENSE$/ { print "GNU General Public License: /usr/share/common-licenses/GPL-2"; exit }
				!left
				/END OF TERMS AND CONDITIONS/ { left = 0 }' >"$work/text"
			if ! command -v iconv >/dev/null || iconv -f UTF-8 -t UTF-8 <"$work/text" >/dev/null 2>&1; then
				cat "$work/text"
			else
				iconv -f ISO-8859-1 -t UTF-8 <"$work/text"
			fi
		done <"$work/texts"
	done
	printf '\n======== uPlot %s: LICENSE\n\n' "$(sed -n 's/^uPlot \([0-9.]*\) .*/\1/p' "$here/../../../analysis/report/page/uplot/README.md")"
	tr -d '\r' <"$here/../../../analysis/report/page/uplot/LICENSE"
}
licences >"$made/pcaplab-licences.txt"

# utc FORMAT prints the time of the release; GNU and BSD date name seconds differently.
utc() { hermetic date -u -d "@$epoch" "$@" 2>/dev/null || hermetic date -u -r "$epoch" "$@"; }

# place SOURCE TARGET [MODE] puts a file into the package that is being filled.
place() {
	mkdir -p "$root/$(dirname "$2")"
	cp "$1" "$root/$2"
	chmod "${3:-644}" "$root/$2"
}

# begin NAME starts a package with what Debian wants in each.
begin() {
	name=$1 root=$work/package
	rm -rf "$root"
	mkdir -p "$root/DEBIAN"
	place "$made/pcaplab-licences.txt" "usr/share/doc/$name/copyright"
	{
		printf '%s (%s) unstable; urgency=medium\n\n' "$name" "$version"
		printf '  * Built from revision %s. CHANGELOG.md.gz tells what changed.\n\n' "$revision"
		printf ' -- %s  %s\n' "$MAINTAINER" "$(utc '+%a, %d %b %Y %H:%M:%S +0000')"
	} | hermetic gzip -9n >"$work/changelog.gz"
	place "$work/changelog.gz" "usr/share/doc/$name/changelog.gz"
	hermetic gzip -9nc CHANGELOG.md >"$work/changelog.gz"
	place "$work/changelog.gz" "usr/share/doc/$name/CHANGELOG.md.gz"
	place "$here/overrides/$name" "usr/share/lintian/overrides/$name"
}

# finish FILE ARCHITECTURE FIELD... writes the control files of the package that was filled, and packs it.
finish() {
	deb=$made/$1 architecture=$2
	shift 2
	# In KiB a file, and one for each folder: what du says depends on the file system.
	size=$(cd "$root/usr" && { find . -type f -exec wc -c {} \; ; find . -type d -exec echo 1 {} \; ; } |
		awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %s\nSection: net\nPriority: optional\n' \
			"$name" "$version" "$architecture" "$MAINTAINER" "$size"
		[ $# = 0 ] || printf '%s\n' "$@"
		cat "$here/description/$name"
	} >"$root/DEBIAN/control"
	(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
	find "$root" -type d -exec chmod u=rwx,go=rx,g-s {} +
	hermetic find "$root" -depth -exec touch -h -d "@$epoch" {} +
	hermetic dpkg-deb --root-owner-group -Zxz -z6 --build "$root" "$deb" >/dev/null
}

# packages makes all Debian packages.
packages() {
	version=$(hermetic sh "$here/version.sh" "$revision" "$epoch")
	compile "$work/pages" "$goroot/bin/go" build -tags man
	hermetic "$work/pages" man "$work/man"
	hermetic gzip -9n "$work"/man/*.1
	for shell in bash zsh fish; do
		hermetic "$work/pages" completion $shell >"$work/completion.$shell"
	done
	for board in amd64 arm64 armv7 armv6; do
		begin pcaplab
		place "$made/pcaplab-linux-$board" usr/bin/pcaplab 755
		for page in "$work"/man/*.gz; do
			place "$page" "usr/share/man/man1/${page##*/}"
		done
		place "$work/completion.bash" usr/share/bash-completion/completions/pcaplab
		place "$work/completion.zsh" usr/share/zsh/vendor-completions/_pcaplab
		place "$work/completion.fish" usr/share/fish/vendor_completions.d/pcaplab.fish
		for file in SCALE.md job.sh shard.sh submit.sh parallel.sh array.sbatch merge.sbatch kubernetes.yaml kubernetes-merge.yaml; do
			place "$here/../jobs/$file" "usr/share/doc/pcaplab/examples/jobs/$file"
		done
		architecture=$board wish=Suggests
		case $board in
		amd64) wish=Recommends ;;
		armv*)
			architecture=armhf
			sed "s/@BOARD@/$board/" "$here/preinst" >"$root/DEBIAN/preinst"
			chmod 755 "$root/DEBIAN/preinst"
			;;
		esac
		finish "pcaplab_${version}_$board.deb" "$architecture" "$wish: pcaplab-boards (= $version), openssh-client"
	done
	begin pcaplab-boards
	for board in amd64 arm64 armv7 armv6; do
		place "$made/pcaplab-linux-$board" "usr/lib/pcaplab/pcaplab-linux-$board" 755
	done
	finish "pcaplab-boards_${version}_all.deb" all "Enhances: pcaplab"
}
if command -v dpkg-deb >/dev/null; then
	packages
else
	echo "dist: no dpkg-deb here: pcaplab (amd64, arm64, armv7, armv6) and pcaplab-boards were not built as .deb packages" >&2
fi

cd "$made"
for file in *; do
	hermetic touch -d "@$epoch" "$file" 2>/dev/null || touch -t "$(utc +%Y%m%d%H%M.%S)" "$file"
done
if command -v sha256sum >/dev/null; then sha256sum -- *; else shasum -a 256 -- *; fi >"$work/SHA256SUMS"
sh "$here/undist.sh" "$dist"
mv ./* "$dist"
mv "$work/SHA256SUMS" "$dist"
ls -l "$dist" | awk 'NR > 1 { printf "%12d  %s\n", $5, $NF }'
