#!/bin/bash
# A study under Slurm: pauses before the time limit and puts itself in the queue again until there is a verdict.
#   sbatch examples/slurm.sh study.yaml
#SBATCH --job-name=liftgate
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=liftgate-%j.log
set -u
study=${1:?usage: sbatch slurm.sh study.yaml}

# The job's own limit less five minutes, for the run to end in peace.
export LIFTGATE_TIME_LIMIT=${LIFTGATE_TIME_LIMIT:-3h55m}

# What differs on this cluster, one KEY=VALUE per line.
export LIFTGATE_SET=${LIFTGATE_SET:-device=0}

# In the background, so that this shell hears Slurm's SIGTERM (before a pre-emption, say) and passes it on.
liftgate run "$study" &
run=$!
trap 'kill -TERM $run' TERM
wait $run
code=$?
while kill -0 $run 2>/dev/null; do # a trapped signal ends `wait` before the run has paused
    wait $run
    code=$?
done

# Another job only where the time was up. 12 is also what a decision point, a spent budget and `liftgate stop` say, and a
# job that was cancelled: with those it would queue itself for ever.
if [ $code -eq 12 ] && liftgate status "$study" --json | grep -Eq 'the (time )?limit of'; then
    sbatch "$0" "$study"
fi
exit $code
