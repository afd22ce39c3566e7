#!/bin/sh
# Slurm: submits the shards that are missing, and the merge behind them. Run it again after failures: what is done stays done.
#
#   sh submit.sh [OPTION...]      options go to sbatch for the shards: --partition=long --time=08:00:00
#
# Wait for the tasks of an earlier call to end first (squeue --me). Two tasks on the same shard do no harm, but one of them works in vain.
set -eu
cd "$(dirname "$0")"
# shellcheck source=job.sh disable=SC2240
options=$*
. ./job.sh
mkdir -p "$DIR"

# 0: all are done; 3: some are missing; else a person must look. --verify also finds shards that a disk has damaged.
status=0
missing=$("$PCAPLAB" shards status --verify --missing --of "$SHARDS" "$DIR") || status=$?
case $status in
0)
	merge=$(sbatch --parsable merge.sbatch)
	echo "all $SHARDS shards are done; merge: job ${merge%%;*}"
	;;
3)
	# shellcheck disable=SC2086 # several options
	array=$(sbatch --parsable --array="$missing" $options array.sbatch)
	merge=$(sbatch --parsable --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes merge.sbatch)
	echo "shards $missing: job ${array%%;*}; merge: job ${merge%%;*}, when all of them are done"
	;;
*) exit "$status" ;;
esac
