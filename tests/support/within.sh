# shellcheck shell=bash
# Waits for a condition, by polling; for scripts that have no event to wait for. Source it.
within() { # within SECONDS COMMAND...: until the command succeeds, silently; 1 at the deadline
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}
