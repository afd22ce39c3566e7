#!/bin/sh
# GNU parallel: makes the shards that are missing on a few machines over ssh, then joins them.
#
#   sh parallel.sh [HOST...]      hosts as ssh knows them; ":" is this machine (default: ":")
#   SHARED=no sh parallel.sh pc1 pc2
#
# This folder must be on every host under the same path: shared, or with SHARED=no its own, with the captures in it; then rsync, which must
# be on all of them, takes job.sh and shard.sh there and brings shards back. One shard at a time runs on each host and uses all its
# processors; JOBS=2 is two. A shard that fails is tried on another host, three times in all. After Ctrl-C, or a failure, the same command
# goes on. Where captures and manifest are not on this machine, JOB_ID=ID says which job it is: all 64 digits, as
# 'shards plan --id' prints them on one of the hosts.
set -eu
cd "$(dirname "$0")"
hosts=$(echo "${*:-:}" | tr ' ' ,)
# shellcheck source=job.sh
. ./job.sh
mkdir -p "$DIR"

# Which job that is: with another command or other captures it is another one, and shards that were made before are not of it.
id=${JOB_ID-}
case ${#id}$(printf %s "$id" | tr -d 0-9a-f) in
0)
	command=$1
	shift
	id=$("$PCAPLAB" shards plan --id "$SHARDS" "$command" --output="$DIR" "$@")
	;;
64) ;;
*)
	echo "parallel.sh: JOB_ID=$id is no whole id of 64 hexadecimal digits, as 'pcaplab shards plan --id' prints it" >&2
	exit 2
	;;
esac

# collect brings shards that hosts have for themselves. Hidden folders are of runs that were killed.
collect() {
	[ "${SHARED:-yes}" = no ] || return 0
	case $DIR in
	/*) there=$DIR ;;
	*) there=$PWD/$DIR ;;
	esac
	for host in $(echo "$hosts" | tr , ' '); do
		[ "$host" = : ] || rsync -as --exclude='.*' "$host:$there/" "$DIR/" || echo "parallel.sh: nothing came from $host" >&2
	done
}

collect
files=
if [ "${SHARED:-yes}" = no ]; then files='--basefile job.sh --basefile shard.sh'; fi
status=0
missing=$("$PCAPLAB" shards status --verify --missing --job "$id" --of "$SHARDS" "$DIR") || status=$?
if [ "$status" = 3 ] && [ -z "$missing" ]; then
	echo "parallel.sh: look at it: $PCAPLAB shards status --verify --job $id $DIR" >&2
	status=1
fi
case $status in
0) ;;
3)
	failed=0
	# shellcheck disable=SC2086 # several options
	echo "$missing" | tr , '\n' | while IFS=- read -r from to; do seq "$from" "${to:-$from}"; done |
		parallel --sshlogin "$hosts" --jobs "${JOBS:-1}" --workdir "$PWD" $files --env PCAPLAB \
			--retries 3 --line-buffer --tagstring 'shard {}' sh ./shard.sh '{}' || failed=$?
	collect # what the others have made is not lost
	if [ "$failed" -gt 0 ]; then
		echo "parallel.sh: not all shards were made; the same command goes on" >&2
		exit 1
	fi
	;;
*) exit "$status" ;;
esac
exec "$PCAPLAB" merge --job "$id" "$DIR" -o "$OUT"
