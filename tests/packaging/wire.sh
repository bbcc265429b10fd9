#!/usr/bin/env bash
# docs/WIRE.md against the sources and against a running verifier.
#
#   wire.sh AGENT VERIFIER      the programs
#
# Routes, error codes, headers and members: what the document names exists, and the other way round.
# Its example is run as printed, and its answers are compared with those that come.
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

document=$top/docs/WIRE.md
# By name: which directory a module is in may change.
module() { find "$top" -name build -prune -o -path "$top/tests" -prune -o -name "$1" -print; }
mapfile -t routes < <(module 'routes*.c' && module complete.c)
mapfile -t messages < <(module 'message*.c')
mapfile -t http < <(module 'exchange.c' && module 'framing.c' && module 'request.c' && module 'server.c' && module 'answer.c' && module 'auth.c' && module 'http.c' && module 'upload.c')
mapfile -t problems < <(module problem.c)

# compare WHAT EXPECTED DOCUMENTED: two lists, one name a line
compare() {
    sort -u "$2" -o "$2"
    sort -u "$3" -o "$3"
    [ -s "$2" ] && [ -s "$3" ] || complain "no $1 found"
    while read -r name; do complain "WIRE.md lacks the $1 $name"; done < <(comm -23 "$2" "$3")
    while read -r name; do complain "WIRE.md names the $1 $name, which does not exist"; done < <(comm -13 "$2" "$3")
}
section() { awk -v h="## $1" '$0 == h { on = 1; next } /^## / { on = 0 } on' "$document"; }
# shellcheck disable=SC2016 # the backticks are Markdown's
quoted() { grep -oE '`[^`]+`' | tr -d '`'; }

sed -nE 's/^ *\{"([A-Z, ]+)", "(\/[^"]*)", AUTH_.*/\1 \2/p' "${routes[@]}" >"$scratch/routes"
sed -nE 's/^### ([A-Z, ]+ \/.*)/\1/p' "$document" >"$scratch/documented"
compare route "$scratch/routes" "$scratch/documented"

cat "${problems[@]}" | tr -s '\n ' ' ' | grep -oE '\[TAILSLATE_PROBLEM_[A-Z_]+\] = \{ ?"[a-z_]+", [0-9]+' |
    sed -E 's/.*"([a-z_]+)", ([0-9]+)/\1 \2/' >"$scratch/codes"
# shellcheck disable=SC2016
section Errors | sed -nE 's/^\| `([a-z_]+)` \| ([0-9]+) \|.*/\1 \2/p' >"$scratch/documented"
compare "code" "$scratch/codes" "$scratch/documented"

# What is read, refused if given twice, answered with or sent; and what the library adds. The name is
# the last string in quotes.
{
    grep -ohE '(request_header\([^,]+|(MHD_add_response|answer_add)_header\([a-z]+|strcasecmp\(name), "[A-Z][A-Za-z0-9-]+"' \
        "${http[@]}" "${routes[@]}"
    sed -n '/const headers\[/,/};/p' "${http[@]}" | grep -oE '"[A-Z][A-Za-z0-9-]+"'
    grep -ohE '"X-[A-Za-z0-9-]+: ' "${http[@]}"
    sed -nE 's/^([A-Z][A-Za-z-]+): .*/"\1"/p' "$top/tests/golden/files/wire.txt"
} | sed -E 's/.*"([A-Z][A-Za-z0-9-]+).*/\1/' >"$scratch/headers"
section Headers | sed -nE 's/^\| (`[^|]*) \|.*/\1/p' | quoted >"$scratch/documented"
compare header "$scratch/headers" "$scratch/documented"

# Members that are read, and those of recorded answers, are named somewhere.
{
    grep -ohE '(field_[a-z]+|json_get[a-z_]*|take_[a-z]+)\([a-z]+, "[a-z_]+"' "${messages[@]}" "${routes[@]}" | grep -oE '"[a-z_]+"'
    grep -ohE 'json_set[a-z_]*\([a-z]+, "[a-z_]+"' "${messages[@]}" "${routes[@]}" | grep -oE '"[a-z_]+"'
    grep -oE '"[a-z_0-9]+":' "$top/tests/golden/files/wire.txt"
} | tr -d '":' | sort -u >"$scratch/members"
{ quoted <"$document" | grep -oE '[a-z_]+' && grep -oE '"[a-z_]+":' "$document" | tr -d '":'; } | sort -u >"$scratch/documented"
while read -r name; do complain "WIRE.md lacks the member $name"; done < <(comm -23 "$scratch/members" "$scratch/documented")

# Limits, by the constants that hold them.
mapfile -t ours < <(module '*.[ch]' | grep -v '/agent/')
mapfile -t agents < <(module '*.[ch]' | grep '/agent/')
limit() { # limit CONSTANT DIVISOR PHRASE: with the number in the place of %d
    local expression phrase
    # The agent has a small server of its own, with limits of the same names: the verifier's first.
    expression=$(grep -hoE "\\b(TAILSLATE_)?$1 = [0-9][0-9 *<]*" "${ours[@]}" "${agents[@]}" | head -n 1 | cut -d= -f2) || true
    # shellcheck disable=SC2059 # the phrase is a format
    phrase=$(printf "$3" $(((${expression:-0}) / $2)))
    grep -qF -- "$phrase" "$document" || complain "WIRE.md does not say '$phrase' ($1 =$expression)"
}
limit REQUEST_HEAD_MAX_BYTES 1024 '%d KiB, complete within'
limit HEADERS_MS 1000 'complete within %d s'
limit UNAUTHENTICATED_MS 1000 'without a good credential | %d s |'
limit STALL_S 1 'no byte in either direction | %d s |'
limit IDLE_MS 1000 'between two requests on a connection | %d s |'
limit WAITERS_OF_WORKER_MAX 1 'long polls of one worker | %d:'
limit SHORT_IDLE_MS 1000 'half of the connections are in use | %d s |'
limit DRAIN_MAX_BYTES 1048576 'still read | %d MiB'
limit JSON_MAX_DEPTH 1 '%d levels'
limit JSON_MAX_NODES 1 '%d values'
limit PLAYLIST_MAX_BYTES 1048576 'not empty, at most %d MiB'
limit TAR_RATIO_MAX 1 'unpacked %d times its packed size'
limit HTTP_ANSWER_MAX_BYTES 1024 'our agent reads | %d KiB'
limit LIMITER_FAILURES_MAX 1 '%d requests with a missing or wrong credential'
limit LIMITER_WINDOW_MS 1000 'credential within %d s from one address'
limit WAIT_MAX_S 1 'integer, 0 to %d, seconds'
limit HELD_JOBS_MAX 1 'at most %d job IDs'
limit SIDE_MAX 1 'pixels, 1 to %d'
limit WARNINGS_MAX 1 'shown to operators: %d of them'
limit STORE_LIST_MAX 1 'at most %d of them, ordered'
# shellcheck disable=SC2016
limit RETRY_AFTER_S 1 'tries again after `Retry-After` (%d s)'
grep -qhE 'SMALL +BODY_TEXT, 256 \* KIB, 30 \* SECOND_MS' "${routes[@]}" ||
    complain "JSON bodies have another limit than WIRE.md says"

connections=$(grep -oE 'listen, connections, [0-9]+' "$top/verifier/base/config.c" | grep -oE '[0-9]+$')
grep -qF "| connections | $connections, " "$document" || complain "WIRE.md has another default of listen.connections"

# The example, on a verifier of its own.
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT
mkdir "$scratch/uploads" "$scratch/videos" "$scratch/work"
cat >"$scratch/verifier.cfg" <<CFG
listen: { port = 0; };
store: { url = "sqlite:$scratch/verifier.db"; };
files: { uploads_dir = "$scratch/uploads"; videos_dir = "$scratch/videos"; };
CFG
verifier() { "${program[verifier]}" -c "$scratch/verifier.cfg" "$@" 2>>"$scratch/verifier.log"; }
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=10:duration=1 -c:v libx264 -preset ultrafast \
    -pix_fmt yuv420p "$scratch/video.mp4"
verifier worker add example --key-file "$scratch/key" >/dev/null
verifier job add "$scratch/video.mp4" >/dev/null
"${program[verifier]}" -c "$scratch/verifier.cfg" serve 2>"$scratch/serve.log" &
started+=($!)
timeout 30 grep -q -m 1 event=verifier.ready <(tail -n +1 -F --pid=$! "$scratch/serve.log" 2>/dev/null) ||
    complain "the verifier does not start: $(cat "$scratch/serve.log")"

# The description of the API, in this verifier's own words: the same routes, methods, credentials and parameters.
curl -fsS "http://127.0.0.1:$(sed -n 's/.*event=verifier.ready port=\([0-9]*\).*/\1/p' "$scratch/serve.log")/api/openapi.json" >"$scratch/openapi.json"
jq -e '.openapi == "3.1.0" and (.info | .title and .version) and ([.. | objects | .["$ref"]? // empty] | unique) == ["#/components/schemas/problem"]
    and ([.paths[][]] | length > 20 and all(.responses | has("200") and all(.description | length > 0))
        and (map(.operationId) | length == (unique | length)))
    and ([.paths | to_entries[] | [.key | scan("\\{([a-z]+)\\}") | .[0]] as $names | .value[]
        | [.parameters[]? | select(.in == "path" and .required) | .name] == $names] | all)
    and .components.schemas.problem.properties.code.type == "string"' "$scratch/openapi.json" >/dev/null ||
    complain "openapi.json has not the form of OpenAPI: $(cat "$scratch/openapi.json")"
jq -r '.paths | to_entries[] | .key as $path | .value | to_entries[]
    | (.value.security | map(keys[0] // "") | {"": "Open", "worker": "Worker", "admin": "Admin", ",admin": "Page"}[join(",")]) as $who
    | "\(.key | ascii_upcase) \($path) \($who) \([.value.parameters[]? | select(.in == "query") | .name] | sort | join(" "))"' \
    "$scratch/openapi.json" >"$scratch/described"
awk '/^### [A-Z, ]+ \// { split($0, word, / \//); path = "/" word[2]; sub(/^### /, "", word[1]); methods = word[1]; fresh = 1; next }
    fresh { match($0, /^[A-Z][a-z]+/); who = substr($0, 1, RLENGTH); fresh = 0; on = 1; parameters = 0; names = "" }
    /^\| parameter/ { parameters = 1; next }
    parameters && /^\| `/ { match($0, /`[a-z_]+`/); names = names substr($0, RSTART + 1, RLENGTH - 2) "\n"; next }
    parameters && !/^\|/ { parameters = 0 }
    on && /^##/ { on = 0 }
    { said[path] = methods "\t" who "\t" names }
    END { for (path in said) if (path ~ /^\//) { split(said[path], part, "\t"); count = split(part[1], method, ", ")
        gsub(/\n/, " ", part[3]); for (i = 1; i <= count; i++) print method[i] " " path " " part[2] " " part[3] } }' "$document" |
    while read -r method path who names; do
        # shellcheck disable=SC2086 # one word each
        echo "$method $path $who $(printf '%s\n' $names | sort | paste -sd ' ')"
    done >"$scratch/documented"
compare "route of openapi.json" "$scratch/described" "$scratch/documented"

settle() {
    jq -cS . | sed -E 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g; s/"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"/TIME/g'
}
# One file a block, numbered: 01.sh, 02.json, ...
section "An example" | awk -v dir="$scratch/work" '
    /^```$/ { close(file); file = ""; next }
    /^```/ { file = sprintf("%s/block-%02d.%s", dir, ++n, substr($0, 4)); next }
    file { print > file }'
# shellcheck disable=SC2034 # the example uses it
server=http://127.0.0.1:$(sed -n 's/.*event=verifier.ready port=\([0-9]*\).*/\1/p' "$scratch/serve.log")
# shellcheck disable=SC2034 # the example uses it
key=$(cat "$scratch/key")
cd "$scratch/work"
compared=0
for block in block-*; do
    case $block in
    *.sh) # in this shell, because what it defines is used by the next; its output is the answer
        # shellcheck disable=SC1090
        . "./$block" >said </dev/null || complain "WIRE.md: this fails: $(cat "$block")"
        ;;
    *.json)
        got=$(settle <said) wanted=$(settle <"$block")
        [ "$got" = "$wanted" ] || complain "WIRE.md: $(cat "$block")"$'\n'"is in truth $(cat said)"
        compared=$((compared + 1))
        ;;
    esac
done
[ "$compared" -ge 6 ] || complain "WIRE.md: only $compared answers in the example"

[ "$failures" -eq 0 ]
