#!/bin/sh
# Checks make dist on what is committed: two runs, in different folders and surroundings, must make the same octets; the
# packages must install, run, complete, show their pages, and go without leaving anything. make dist-check calls it.
#
#   check.sh [DIST]    with DIST, a folder that make dist has filled from these sources, it checks only that
set -eu
cd "$(dirname "$0")/../../.."
unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL SOURCE_DATE_EPOCH MAINTAINER DIST
: "${GO:=go}"
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

fail() {
	echo "dist-check: $*" >&2
	exit 1
}

say() { echo "dist-check: $*"; }

# twice makes it two times: the second time all that a machine may have otherwise is otherwise, and the build cache empty.
twice() {
	if [ -n "$(git status --porcelain --untracked-files=no)" ]; then say "uncommitted changes here are not checked"; fi
	one=$work/one/pcaplab two="$work/the second folder/deeper/p"
	git clone -q . "$one"
	mkdir -p "$work/the second folder/deeper"
	git clone -q . "$two"
	modules=$("$GO" env GOMODCACHE)
	pin=
	if command -v taskset >/dev/null; then pin='taskset -c 0'; fi
	say "first run"
	(cd "$one" && make --no-print-directory dist DIST=dist)
	say "second run: another folder, umask, locale, time zone, home, cache, flags, one processor"
	(
		cd "$two"
		umask 077
		chmod g+s . 2>/dev/null || :
		$pin env HOME="$work/home" XDG_CACHE_HOME="$work/home/.cache" GOCACHE="$work/cache" GOMODCACHE="$modules" TMPDIR="$work" \
			TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 GOFLAGS='-tags=man -buildvcs=true' GOAMD64=v3 GOARM=5 GOARM64=v8.2 \
			CGO_ENABLED=1 CGO_CFLAGS=-O3 GOGC=50 GOMAXPROCS=1 REVISION=nonsense XZ_OPT=-1 XZ_DEFAULTS=-1 GZIP=-1 TAR_OPTIONS=--owner=nobody \
			DEB_BUILD_OPTIONS=nostrip DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_THREADS_MAX=7 MAKEFLAGS=-j4 \
			make --no-print-directory dist DIST="$two/made here"
	)
	cmp "$one/dist/SHA256SUMS" "$two/made here/SHA256SUMS" || {
		diff "$one/dist/SHA256SUMS" "$two/made here/SHA256SUMS" || :
		fail "the two runs differ"
	}
	dist=$one/dist
	say "both runs are equal: SHA256SUMS is $( (sha256sum "$dist/SHA256SUMS" 2>/dev/null || shasum -a 256 "$dist/SHA256SUMS") | cut -d' ' -f1)"
}

if [ $# = 0 ]; then
	twice
	rm -rf "$work/cache" "$two"
else
	dist=$(cd "$1" && pwd) one=$PWD
fi
(cd "$one" && PCAPLAB_DIST=$dist "$GO" test -count=1 -v -run Dist ./cmd/pcaplab) >"$work/said" 2>&1 || {
	cat "$work/said"
	fail "the files are not what they should be"
}
say "the binaries are static, stripped and for their boards; the sums are right"
(cd "$one" && "$GO" test -count=1 -tags man -run 'Man|Roff' ./cmd/cli)

command -v dpkg-deb >/dev/null || {
	say "skipped: packages, for there is no dpkg-deb"
	exit 0
}

# The package for ARMv7 must refuse an ARMv6 board, and no package a board that it is for.
mkdir "$work/bin"
for try in armv7:armv6l:1 armv7:armv7l:0 armv7:aarch64:0 armv6:armv6l:0 armv6:armv7l:0 armv6:armv5tel:1; do
	want=${try##*:} board=${try%%:*} machine=${try#*:} machine=${machine%:*}
	rm -rf "$work/control"
	dpkg-deb --control "$dist"/pcaplab_*_"$board".deb "$work/control"
	printf '#!/bin/sh\necho %s\n' "$machine" >"$work/bin/uname"
	chmod +x "$work/bin/uname"
	got=0
	PATH=$work/bin:$PATH "$work/control/preinst" install >"$work/said" 2>&1 || got=$?
	[ "$got" = "$want" ] || fail "the package for $board on $machine: preinst exits $got, want $want"
	[ "$want" = 0 ] || grep -q "$machine" "$work/said" || fail "the package for $board does not say what is wrong with $machine"
done
rm -r "$work/bin"
for deb in "$dist"/*.deb; do
	# Owner and time of everything inside.
	dpkg-deb --fsys-tarfile "$deb" | tar -tv --numeric-owner -f - | awk '$2 != "0/0" || ($1 !~ /^-rwxr-xr-x$|^-rw-r--r--$|^drwxr-xr-x$/) { print; bad = 1 }
		END { exit bad }' || fail "$deb: owner or mode"
done
if command -v lintian >/dev/null; then
	lintian --fail-on error,warning --tag-display-limit 0 "$dist"/*.deb || fail "lintian finds faults"
	say "lintian finds no error and no warning"
else
	say "skipped: lintian is not installed"
fi

if [ "$(dpkg --print-architecture)" != amd64 ]; then
	say "skipped: installing, for this is not amd64"
	exit 0
fi
become=
if [ "$(id -u)" != 0 ]; then
	if unshare -r true 2>/dev/null; then
		become='unshare -r'
	else
		say "skipped: installing needs root or user namespaces"
		exit 0
	fi
fi
root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers" "$root/var/log"
: >"$root/var/lib/dpkg/status"
: >"$root/var/lib/dpkg/available"
PATH=$PATH:/usr/sbin:/sbin

# contents lists all that is in the root but dpkg's own books, which it never takes away.
contents() { (cd "$root" && find . ! -path './var/lib/dpkg/*' ! -path './var/log/*' | LC_ALL=C sort; ls var/lib/dpkg/info | grep -v '^format$' || :); }
books() { $become dpkg --root="$root" --log=/dev/null "$@"; }

books --status pcaplab >/dev/null 2>&1 && fail "the root is not empty"
contents >"$work/before"
books --install "$dist"/pcaplab_*_amd64.deb "$dist"/pcaplab-boards_*_all.deb >"$work/said" 2>&1 || {
	cat "$work/said"
	fail "dpkg does not install the packages"
}
installed=$root/usr/bin/pcaplab
version=$(git -C "$one" describe --tags --match 'v[0-9]*' --always --dirty --abbrev=12)
"$installed" --version | grep -q -F -e "$version" || fail "--version says $("$installed" --version), want $version"
"$installed" synth iot-1 --frames 2000 -o "$work/iot.pcap"
"$installed" info "$work/iot.pcap" | grep -q '^Packets  *2,000$' || fail "info does not find 2,000 packets"
for board in amd64 arm64 armv7 armv6; do
	cmp "$dist/pcaplab-linux-$board" "$root/usr/bin/../lib/pcaplab/pcaplab-linux-$board"
done
cmp "$installed" "$dist/pcaplab-linux-amd64"
(cd "$root" && for sums in var/lib/dpkg/info/*.md5sums; do md5sum --quiet -c "$sums"; done)

pages=0
for page in "$root"/usr/share/man/man1/*.gz; do
	gzip -dc "$page" >"$work/page.1"
	if command -v man >/dev/null && man --version 2>/dev/null | grep -q '^man 2'; then
		(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null) >"$work/said"
	elif command -v groff >/dev/null; then
		groff -z -ww -man -Tutf8 "$work/page.1" >"$work/said" 2>&1
	elif command -v mandoc >/dev/null; then
		mandoc -T lint -W warning "$work/page.1" >"$work/said" 2>&1 || :
	else
		say "skipped: reading the pages, for there is neither man, groff nor mandoc"
		break
	fi
	[ ! -s "$work/said" ] || {
		cat "$work/said"
		fail "${page##*/} has faults"
	}
	pages=$((pages + 1))
done
say "$pages man pages read without a warning"
for command in $("$installed" __complete '' 2>/dev/null | sed -n 's/	.*//p'); do
	[ "$command" = help ] || [ -e "$root/usr/share/man/man1/pcaplab-$command.1.gz" ] || fail "no page of pcaplab $command"
done

if [ ! -r /usr/share/bash-completion/bash_completion ]; then
	say "skipped: completing in bash, for bash-completion is not installed"
elif command -v bash >/dev/null; then
	got=$(cd "$root" && PATH=$root/usr/bin:$PATH bash --norc -c '
		. /usr/share/bash-completion/bash_completion
		. usr/share/bash-completion/completions/pcaplab
		complete -p pcaplab >/dev/null || exit 1
		compopt() { :; } # bash has it only while it completes
		COMP_WORDS=(pcaplab ceiling --engines gopacket-la) COMP_CWORD=3 COMP_LINE="${COMP_WORDS[*]}"
		COMP_POINT=${#COMP_LINE} COMP_TYPE=9
		__start_pcaplab
		printf "%s\n" "${COMPREPLY[@]}"') || fail "bash does not take the completions"
	case $got in
	*gopacket-layers*) say "bash completes gopacket-la to" $got ;;
	*) fail "bash completes gopacket-la to '$got'" ;;
	esac
fi
if command -v zsh >/dev/null; then
	zsh -n "$root/usr/share/zsh/vendor-completions/_pcaplab" || fail "zsh does not take the completions"
	head -n 1 "$root/usr/share/zsh/vendor-completions/_pcaplab" | grep -q '^#compdef pcaplab' || fail "_pcaplab is not for compinit"
	say "zsh reads the completions"
fi
if command -v fish >/dev/null; then
	got=$(PATH=$root/usr/bin:$PATH HOME=$work/home fish --no-config -c "source $root/usr/share/fish/vendor_completions.d/pcaplab.fish
		complete -C 'pcaplab ceiling --clock s'") || fail "fish does not take the completions"
	case $got in
	*system*) say "fish completes --clock s to" $got ;;
	*) fail "fish completes --clock s to '$got'" ;;
	esac
fi

books --remove pcaplab pcaplab-boards >/dev/null 2>&1 || fail "dpkg does not remove the packages"
books --purge pcaplab pcaplab-boards >/dev/null 2>&1 || fail "dpkg does not purge the packages"
contents >"$work/after"
diff "$work/before" "$work/after" || fail "left behind after the purge"
say "installed, ran, and left nothing behind"
