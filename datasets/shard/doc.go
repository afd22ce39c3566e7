// Package shard cuts a job into shards that any machine can make, and proves that a folder of them is the whole job.
//
// A [Job] says what all shards share: kind, schema, parameters, inputs by their SHA-256, and one [Range] for each shard. [Write] makes one
// shard whole under its id, the hash of all that decides its content. [Read] finds shards again, and [Set.Complete] says what is
// missing, doubled or foreign. What is in the shards, and how they are joined, is the business of each kind.
package shard
