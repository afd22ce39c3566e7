# shellcheck shell=sh disable=SC2034 # the scripts beside this one read it
# What the job is. Copy this folder to where every machine sees it, change this file, and keep it with the results.
# Paths are from this folder, or whole ones that mean the same on every machine.

# How many shards: four to sixteen for each machine, at most 1000 (Slurm's MaxArraySize is 1001 unless its owner set it higher, and every
# shard's record lists all shards). SCALE.md says why. Another number is another job.
SHARDS=16

# Where shards go, a folder each, and what the merge writes.
DIR=shards
OUT=features.csv

# The command without --shard and -o. With a manifest captures are cut inside, and nothing else is read to plan. It is made once:
# pcaplab dataset scan PCAP. What the shards would be: sh -c '. ./job.sh; "$PCAPLAB" shards plan "$SHARDS" "$@" -o "$DIR"'
set -- features --window cic --label folder --manifest PCAP/manifest.json PCAP/*/*.pcap

# The program, the same version on every machine: shards of two versions are not joined.
PCAPLAB=${PCAPLAB:-pcaplab}
