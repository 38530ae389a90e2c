#!/usr/bin/env bash
# down.sh FOLDER: ends all jobs of the Slurm that up.sh started under FOLDER, and the Slurm itself.
R=$1
export SLURM_CONF=$R/slurm.conf
scancel --state=PENDING,RUNNING,SUSPENDED -u "$(id -un)" 2> /dev/null
for _ in $(seq 50); do [ -z "$(squeue -h 2> /dev/null)" ] && break; sleep 0.2; done
for file in run/slurmd.pid run/slurmctld.pid munge/pid; do
  pid=$(cat "$R/$file" 2> /dev/null) || continue
  kill "$pid" 2> /dev/null
  for _ in $(seq 100); do
    kill -0 "$pid" 2> /dev/null && ! grep -q "^State:.Z" "/proc/$pid/status" 2> /dev/null || break
    sleep 0.1
  done
done
