#!/usr/bin/env bash
# Start a real one-node Slurm cluster on loopback, for tests: start.sh FOLDER; then `export SLURM_CONF=FOLDER/slurm.conf`.
# Needs Debian's slurm-wlm and munge. Any user may start one: everything lives in FOLDER, on unprivileged ports.
# Stop it with stop.sh FOLDER.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(hostname -s)
user=$(id -un)
cores=$(getconf _NPROCESSORS_ONLN)  # nproc would look at OMP_NUM_THREADS
cores=$((cores < 2 ? 2 : cores))
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
port=${SLURM_TEST_PORT:-26817}
mkdir -p "$folder"/{state,spool,log,munge}

# munge refuses keys and sockets in folders that others may write; as root it wants its own user.
munge_user=$user
if [ "$user" = root ] && id munge >/dev/null 2>&1; then munge_user=munge; fi
munge_home=$folder/munge
if [ "$munge_user" != "$user" ]; then
  munge_home=$(mktemp -d /run/instruct-ablate-munge.XXXXXX) && echo "$munge_home" >"$folder/munge/elsewhere"
fi
dd if=/dev/urandom of="$munge_home/key" bs=1024 count=1 status=none
chmod 400 "$munge_home/key" && chmod 755 "$munge_home"
chown -R "$munge_user" "$munge_home"
run_munge=(munged --key-file="$munge_home/key" --socket="$munge_home/socket" --pid-file="$munge_home/pid"
  --log-file="$munge_home/log" --seed-file="$munge_home/seed" --force --num-threads=2)
if [ "$munge_user" != "$user" ]; then
  su -s /bin/sh "$munge_user" -c "/usr/sbin/${run_munge[*]}"
else
  "/usr/sbin/${run_munge[0]}" "${run_munge[@]:1}"
fi

cat >"$folder/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$here(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$munge_home/socket
CryptoType=crypto/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((memory / cores))
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerType=sched/backfill
PreemptMode=REQUEUE
PreemptType=preempt/partition_prio
JobRequeue=1
KillWait=15
ReturnToService=2
InactiveLimit=0
MinJobAge=300
NodeName=$here NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$here Default=YES MaxTime=60 State=UP PriorityTier=1
PartitionName=urgent Nodes=$here MaxTime=60 State=UP PriorityTier=10 PreemptMode=off
CONF
export SLURM_CONF=$folder/slurm.conf
slurmctld -i >"$folder/log/start.log" 2>&1
slurmd >>"$folder/log/start.log" 2>&1
for _ in $(seq 400); do
  if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then echo "$SLURM_CONF"; exit 0; fi
  sleep 0.5
done
echo "the one-node cluster did not come up; see $folder/log" >&2
exit 1
