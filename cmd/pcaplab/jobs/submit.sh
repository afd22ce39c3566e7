#!/bin/sh
# Slurm: submits the shards that are missing, and the merge behind them. Run it again after failures: what is done stays done.
#
#   sh submit.sh [OPTION...]      options go to sbatch for the shards: --partition=long --time=08:00:00 --comment='second try'
#
# Wait for the tasks of an earlier call to end first (squeue --me). Two tasks on the same shard do no harm, but one of them works in vain.
set -eu
cd "$(dirname "$0")"
# shellcheck source=job.sh
job() { . ./job.sh; } # a function has arguments of its own: ours stay
job
mkdir -p "$DIR"

# Which job that is: with another command or other captures it is another one, and shards that were made before are not of it.
# shellcheck source=job.sh
plan() {
	. ./job.sh
	command=$1
	shift
	"$PCAPLAB" shards plan --id "$SHARDS" "$command" --output="$DIR" "$@"
}
id=$(plan)

# 0: all are done; 3: some are missing; else a person must look. --verify also finds shards that a disk has damaged.
status=0
missing=$("$PCAPLAB" shards status --verify --missing --job "$id" --of "$SHARDS" "$DIR") || status=$?
if [ "$status" = 3 ] && [ -z "$missing" ]; then
	echo "submit.sh: look at it: $PCAPLAB shards status --verify --job $id $DIR" >&2
	status=1
fi
case $status in
0)
	merge=$(sbatch --parsable merge.sbatch "$id")
	echo "all $SHARDS shards are done; merge: job ${merge%%;*}"
	;;
3)
	array=$(sbatch --parsable --array="$missing" "$@" array.sbatch)
	array=${array%%;*}
	echo "shards $missing: job $array"
	if ! merge=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes merge.sbatch "$id"); then
		echo "submit.sh: the merge is not submitted, the shards are: sbatch --dependency=afterok:$array --kill-on-invalid-dep=yes merge.sbatch $id" >&2
		exit 1
	fi
	echo "merge: job ${merge%%;*}, when all of them are done"
	;;
*) exit "$status" ;;
esac
