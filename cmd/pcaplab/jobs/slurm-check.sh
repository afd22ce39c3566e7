#!/bin/sh
# Runs the job files of this folder on a real Slurm: a controller and two nodes on this machine, in namespaces of their own. In the middle
# of a shard one node is killed, and one shard is killed once: the first Slurm queues again, the second submit.sh. The joined file must be
# that of a single run, octet for octet.
#
#   sudo sh slurm-check.sh [PCAPLAB]      needs root, and slurm-wlm and munge (apt-get install --no-install-recommends slurm-wlm munge)
#
# Nothing of this machine is touched: its Slurm, if it has one, its network, its host name. Everything ends with the script.
set -eu
if [ "${1-}" != --inside ]; then
	here=$(cd "$(dirname "$0")" && pwd)
	skip() {
		echo "skipped: $*"
		exit 0
	}
	[ "$(id -u)" = 0 ] || skip "a Slurm of its own needs root"
	for program in slurmctld slurmd munged sbatch squeue scontrol unshare ip; do
		command -v "$program" >/dev/null || skip "no $program here: apt-get install --no-install-recommends slurm-wlm munge util-linux iproute2"
	done
	pcaplab=$(command -v "${1:-pcaplab}") || skip "no ${1:-pcaplab}: give the path of the program"
	pcaplab=$(realpath "$pcaplab")
	unshare --mount --net --uts --ipc --pid --fork true 2>/dev/null || skip "no namespaces here"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	unshare --mount --net --uts --ipc --pid --fork --mount-proc --kill-child sh "$here/slurm-check.sh" --inside "$here" "$pcaplab" "$work"
	exit
fi

here=$2 pcaplab=$3 work=$4
say() { printf '\n== %s\n' "$*"; }
fail() {
	echo "slurm-check: $*" >&2
	tail -n 20 "$work"/log/* >&2
	exit 1
}
# until_ok SECONDS WHAT COMMAND... waits for a command to succeed.
until_ok() {
	left=$(($1 * 5)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || fail "waited in vain until $what"
		sleep 0.2
	done
}

# A machine of its own: name, network (Slurm wants an address that is not loopback), /run, and the files that name things.
mount --make-rprivate /
hostname shelf
ip link set lo up
ip link add cluster0 type veth peer name cluster1
ip addr add 10.77.0.1/24 dev cluster0
ip link set cluster0 up
ip link set cluster1 up
mkdir "$work/etc" "$work/log" "$work/state" "$work/n1" "$work/n2" "$work/job"
chmod 755 "$work"
printf '127.0.0.1 localhost\n10.77.0.1 shelf\n' >"$work/etc/hosts"
mount --bind "$work/etc/hosts" /etc/hosts
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/munge

head -c 1024 /dev/urandom >"$work/etc/munge.key"
chmod 400 "$work/etc/munge.key"
munged --force --key-file="$work/etc/munge.key" --socket=/run/munge/munge.socket.2 --pid-file="$work/munged.pid" \
	--log-file="$work/log/munged" --seed-file="$work/munged.seed" 2>>"$work/log/munged.start" || fail "munged does not start"
cat >"$work/etc/slurm.conf" <<END
ClusterName=check
SlurmctldHost=shelf(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$work/completed
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmctldPort=17000
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/%n.pid
SlurmctldLogFile=$work/log/slurmctld
SlurmdLogFile=$work/log/%n
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/%n
SlurmdTimeout=10
ReturnToService=2
KillWait=5
NodeName=n1 NodeHostname=shelf NodeAddr=10.77.0.1 Port=17001 CPUs=1 RealMemory=1000
NodeName=n2 NodeHostname=shelf NodeAddr=10.77.0.1 Port=17002 CPUs=1 RealMemory=1000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF="$work/etc/slurm.conf"
# The programs that go on in the background keep no pipe of ours open.
slurmctld >>"$work/log/start" 2>&1 </dev/null || fail "slurmctld does not start"
slurmd -N n1 >>"$work/log/start" 2>&1 </dev/null || fail "slurmd does not start"
slurmd -N n2 >>"$work/log/start" 2>&1 </dev/null || fail "slurmd does not start"
nodes_are() { [ "$(sinfo -h -N -o '%N=%t' | sort | tr '\n' ' ')" = "$1" ]; }
until_ok 60 "two nodes are idle" nodes_are "n1=idle n2=idle "
say "$(slurmd -V): a controller and two nodes on this machine"
sinfo -N -o '%N %T %c'

# The job: this folder's files, with its own job.sh, which is what a user changes. The array asks for what the nodes have.
cd "$work/job"
cp "$here"/*.sh "$here"/*.sbatch .
sed -i 's/^#SBATCH --cpus-per-task=.*/#SBATCH --cpus-per-task=1/; s/^#SBATCH --mem=.*/#SBATCH --mem=200M/' array.sbatch merge.sbatch
mkdir -p PCAP/DDoS-ICMP_Flood PCAP/Benign_Final
"$pcaplab" synth ddos-icmp_flood --frames 2000000 -o PCAP/DDoS-ICMP_Flood/DDoS-ICMP_Flood.pcap
"$pcaplab" synth benign --frames 300000 -o PCAP/Benign_Final/BenignTraffic.pcap
"$pcaplab" -q dataset scan PCAP >/dev/null
cat >job.sh <<'END'
# shellcheck shell=sh
SHARDS=12
DIR=shards
OUT=features.csv
PCAPLAB=./program
set -- features --window cic --label folder --manifest PCAP/manifest.json PCAP/*/*.pcap
END
# What stands for the program here: on n2 the first shard hangs half-way, and shard 5 is killed the first time.
cat >program <<END
#!/bin/sh
case "\${1-} \${SLURMD_NODENAME-}" in
"features n2") if mkdir hung 2>/dev/null; then
	'$pcaplab' "\$@" &
	while ! grep -q "\"pid\":\$!}" shards/.*.lock 2>/dev/null; do # a millisecond at a time, until its lock says that it has begun
		kill -CONT \$!
		sleep 0.001
		kill -STOP \$!
	done
	echo \$! >hung/shard
	wait
fi ;;
esac
if [ "\${1-} \${SLURM_ARRAY_TASK_ID-}" = "features 5" ] && mkdir killed 2>/dev/null; then
	kill -KILL \$\$
fi
exec '$pcaplab' "\$@"
END
chmod +x program

say "a single run"
"$pcaplab" -q features --window cic --label folder -o single.csv PCAP/*/*.pcap
wc -lc single.csv
say "the plan"
# shellcheck disable=SC2016
sh -c '. ./job.sh; exec "$PCAPLAB" shards plan "$SHARDS" "$@" -o "$DIR"'
say "submit.sh"
sh submit.sh

until_ok 60 "a shard hangs on n2" test -s hung/shard
say "shard half-way on n2; the node is killed: slurmd, slurmstepd, the task and the shard"
squeue -o '%i %j %T %N %r'
victim=$(cat hung/shard)
ls -A shards
kill -9 "$(cat "$work/n2.pid")"
chain= # slurmstepd first: who is above sees nobody die
while [ "$victim" -gt 1 ]; do
	chain="$victim $chain"
	victim=$(awk '/^PPid:/ { print $2 }' "/proc/$victim/status")
done
# shellcheck disable=SC2086 # several processes
kill -9 $chain 2>/dev/null || true
node_down() { sinfo -h -n n2 -o %t | grep -q '^down'; }
until_ok 120 "Slurm sees that n2 is down" node_down
sinfo -N -o '%N %T'
requeued() { scontrol show job -o | grep -q 'JobName=pcaplab-shard.*Requeue=1 Restarts=1'; }
until_ok 60 "the task is queued again" requeued
scontrol show job -o | grep 'Restarts=1' | grep -o 'ArrayTaskId=[0-9]*\|JobState=[A-Z]*\|Restarts=[0-9]*\|Reason=[A-Za-z]*' | tr '\n' ' '
echo
nothing_left() { [ -z "$(squeue -h)" ]; }
until_ok 400 "the array has ended" nothing_left
say "the array has ended; what became of the tasks, and of the merge that waited for all of them"
awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^(JobId|Name|JobState|NodeList|ArrayTaskId)=/) printf "%s ", $i; print "" }' "$work/completed"
say "pcaplab shards status"
"$pcaplab" shards status shards || echo "exit code $?"
[ "$("$pcaplab" shards status --missing shards 2>/dev/null)" = 5 ] || fail "shard 5 should be missing, and no other"
[ ! -e features.csv ] || fail "there is a merged file already"
say "pcaplab merge"
"$pcaplab" merge shards -o features.csv || echo "exit code $?"

say "submit.sh again"
sh submit.sh
until_ok 300 "the merge has ended" nothing_left
"$pcaplab" shards status --verify shards
cat slurm-*-merge.txt
cmp features.csv single.csv || fail "the joined file is not that of the single run"
[ -z "$(find shards -mindepth 1 -maxdepth 1 -name ".*")" ] || fail "something is left of killed runs: $(ls -A shards)"
say "the joined file is that of the single run, octet for octet; nothing is left of the killed runs"
sha256sum features.csv single.csv
