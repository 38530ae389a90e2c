#!/usr/bin/env bash
# up.sh FOLDER [N]: starts a Slurm of its own with one node under FOLDER, and arrays of up to N tasks; needs root, and
# Debian's packages slurm-wlm and munge.
# It prints the path of its slurm.conf, which SLURM_CONF has to name.
set -euo pipefail
R=$1
HOST=$(hostname -s)
mkdir -p "$R"/{munge,state,spool,log,run}
chmod 755 "$R" "$R/munge"
dd if=/dev/urandom of="$R/munge/key" bs=128 count=1 status=none
chmod 400 "$R/munge/key"
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
cat > "$R/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$R/munge/socket,cred_expire=5
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmctldPidFile=$R/run/slurmctld.pid
SlurmdPidFile=$R/run/slurmd.pid
StateSaveLocation=$R/state
SlurmdSpoolDir=$R/spool
SlurmctldLogFile=$R/log/slurmctld.log
SlurmdLogFile=$R/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=600
MaxArraySize=${2:-1001}
GresTypes=gpu
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=${SLURM_TEST_CPUS:-8} RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
printf 'AutoDetect=off\nName=gpu File=%s/gpu[0-1]\n' "$R" > "$R/gres.conf"
for g in 0 1; do mknod -m 666 "$R/gpu$g" c 1 3; done
export SLURM_CONF=$R/slurm.conf
munged --key-file="$R/munge/key" --socket="$R/munge/socket" --pid-file="$R/munge/pid" --log-file="$R/munge/log" \
  --seed-file="$R/munge/seed"
slurmctld
slurmd
for _ in $(seq 100); do
  case $(sinfo -h -o %t 2> /dev/null || true) in idle*) echo "$SLURM_CONF" && exit 0 ;; esac
  sleep 0.1
done
tail -n 20 "$R"/log/*.log >&2
exit 1
