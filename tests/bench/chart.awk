# Draws completions per second beside their floors, from lines PART|WHAT<TAB>MEDIAN (run.sh).
#
#   awk -F '\t' -f tests/bench/chart.awk medians.tsv >docs/performance.svg
function bar(x, value, fill) {
    printf "<rect x=\"%d\" y=\"%.1f\" width=\"34\" height=\"%.1f\" fill=\"%s\"/>", x, base - value * scale, value * scale, fill
    printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"11\" fill=\"#333\">%d</text>\n", x + 17, base - value * scale - 4, value
}
function group(x, part, connections, floor_what,    noun) {
    noun = connections == 1 ? " connection" : " connections"
    bar(x, median[part "|complete, " connections noun], "#2a78b8")
    bar(x + 38, median[part "|" floor_what], "#c8c8c8")
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#555\">%d%s</text>\n", x + 36, base + 18, connections, noun
}
{ median[$1] = $2; if ($1 ~ /^(sqlite|postgres)\|(complete, [0-9]+ connections?|floor: the same)/ && $2 > most) most = $2 }
END {
    base = 250; scale = 190 / most
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"320\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"720\" height=\"320\" fill=\"#fff\"/>"
    print "<text x=\"20\" y=\"24\" font-size=\"14\">Completions per second, each durable before it is acknowledged</text>"
    count = split("1 8 32", connections, " ")
    for (i = 1; i <= count; i++) {
        n = connections[i]
        group(20 + (i - 1) * 110, "sqlite", n, "floor: the same writes, one commit each")
        group(380 + (i - 1) * 110, "postgres", n, "floor: the same writes pipelined, " n (n == 1 ? " connection" : " connections"))
    }
    printf "<text x=\"20\" y=\"%d\" font-size=\"13\">SQLite</text><text x=\"380\" y=\"%d\" font-size=\"13\">PostgreSQL</text>\n", base + 38, base + 38
    printf "<rect x=\"20\" y=\"%d\" width=\"10\" height=\"10\" fill=\"#2a78b8\"/><text x=\"36\" y=\"%d\">verifier, over HTTP</text>", base + 50, base + 59
    printf "<rect x=\"180\" y=\"%d\" width=\"10\" height=\"10\" fill=\"#c8c8c8\"/><text x=\"196\" y=\"%d\">the same writes without a verifier</text>\n", base + 50, base + 59
    print "</svg>"
}
