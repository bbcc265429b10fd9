# shellcheck shell=bash
# For the scripts that take their time, which look again and again at what tells of no event. Source it.
within() { # within SECONDS COMMAND...: until the command succeeds, silently; 1 at the deadline
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}
