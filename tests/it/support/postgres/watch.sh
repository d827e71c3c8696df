# Stops a PostgreSQL server when nobody uses it any more, however its users ended: they hold shared locks on
# FOLDER/users, which the system takes from a process that dies.
#
#   sh watch.sh FOLDER STARTING IDLE_SECONDS STOP...
#
# STARTING is locked by whoever starts a server in FOLDER; STOP is the command that stops it.
folder=$1 starting=$2 idle_max=$3
shift 3
idle=0
while [ -d "$folder" ]; do
    if flock --exclusive --nonblock "$folder/users" true; then
        idle=$((idle + 1))
    else
        idle=0
    fi
    if [ "$idle" -gt "$idle_max" ]; then
        # Nobody can start to use it between the look and the end.
        exec 9>>"$starting"
        if flock --exclusive --nonblock 9 && flock --exclusive --nonblock "$folder/users" true; then
            "$@" || true
            rm -rf "$folder"
            exit
        fi
        exec 9>&-
    fi
    sleep 1
done
