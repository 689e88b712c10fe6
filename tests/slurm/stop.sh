#!/usr/bin/env bash
# Stop the cluster that start.sh FOLDER started.
set -u
folder=$(cd "$1" && pwd)
for name in slurmd slurmctld; do
  [ -f "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null
done
munge_home=$folder/munge
[ -f "$folder/munge/elsewhere" ] && munge_home=$(cat "$folder/munge/elsewhere")
[ -f "$munge_home/pid" ] && kill "$(cat "$munge_home/pid")" 2>/dev/null
sleep 0.5
[ "$munge_home" != "$folder/munge" ] && rm -rf "$munge_home"
exit 0
