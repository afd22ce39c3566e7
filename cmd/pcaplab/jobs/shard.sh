#!/bin/sh
# Makes one shard of the job in job.sh. The other scripts start it; by hand:
#
#   sh shard.sh 3       shard 3
#   sh shard.sh         the one that Slurm's array or Kubernetes' Job says in the environment
#
# A shard that is there already is not made again. A killed run leaves nothing that could be taken for a shard.
set -eu
index=${1-}
# shellcheck source=job.sh
. ./job.sh
command=$1
shift
# Nothing may stand between the program and a signal: on SIGTERM (a time limit, a drained node) it removes what it began, and ends.
exec "$PCAPLAB" "$command" --shard="$index/$SHARDS" --output="$DIR" "$@"
