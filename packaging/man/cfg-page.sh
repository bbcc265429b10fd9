#!/bin/sh
# Make the man page of a configuration file out of its sample: cfg-page.sh SAMPLE [OUTPUT]
#
# The program prints the sample from the same table by which it reads files, so each key is
# documented once.
set -eu
sample=$1
[ $# -lt 2 ] || exec >"$2"
side=$(basename "$sample" .cfg.sample)

cat <<PAGE
.Dd November 23, 2026
.Dt TAILSLATE-$(echo "$side" | tr '[:lower:]' '[:upper:]').CFG 5
.Os
.Sh NAME
.Nm tailslate-$side.cfg
.Nd configuration of tailslate-$side
.Sh DESCRIPTION
.Xr tailslate-$side 8
reads
.Pa /etc/tailslate/$side.cfg ,
or the file that is given with
.Fl c .
It consists of groups of settings:
.Bd -literal -offset indent
$(sed -n '/^[a-z_]*:$/ { s/:$//p; q }' "$sample"): {
    key = value;
};
.Ed
.Pp
Strings are written in double quotes; booleans are
.Cm true
and
.Cm false .
Comments begin with
.Li //
or
.Li # .
Every key is optional.
An unknown key, or a value of the wrong type or out of range, is an error; the
message names the file and line, and the exit status is 78.
.Pp
Every key can be overridden by an environment variable named
.Ev TAILSLATE_GROUP_KEY ,
for example
.Ev $(awk '/^[a-z_]+:$/ { group = substr($0, 1, length - 1) }
    /^    [a-z_]+ = / { print "TAILSLATE_" toupper(group) "_" toupper($1); exit }' "$sample") .
.Pp
Secrets are kept in separate files, mode 0600 or stricter; the group may read a
file that belongs to root if it is one of the service's groups
.Pq a Kubernetes secret with Li fsGroup .
A name without a slash names a systemd credential
.Pq see Cm LoadCredential No in Xr systemd.exec 5 .
PAGE

awk '
function escape(text) { gsub(/\\/, "\\e", text); gsub(/^[.'\'']/, "\\\\\\&&", text); return text }
function flush_help(    line, words, count, i) {
    # Short lines, each sentence on one of its own, as man pages have them.
    help = help (help ~ /[.]$/ ? "" : ".")
    line = ""
    count = split(help, words, " ")
    for (i = 1; i <= count; i++) {
        if (length(line " " words[i]) > 76) { print escape(line); line = "" }
        line = line (line == "" ? "" : " ") words[i]
        if (words[i] ~ /[.]$/) { print escape(line); line = "" }
    }
    if (line != "") print escape(line)
    help = ""
}
/^[a-z_]+:$/ {
    group = substr($0, 1, length - 1)
    print ".Sh GROUP " toupper(group)
    print ".Bl -tag -width Ds"
    next
}
/^};/ { print ".El"; group = ""; next }
group != "" && /^    \/\/ / { help = help (help == "" ? "" : " ") substr($0, 8); next }
group != "" && /^    [a-z_]+ = .*;$/ {
    key = $1
    value = substr($0, index($0, "= ") + 2)
    sub(/;$/, "", value)
    print ".It Va " group "." key
    flush_help()
    gsub(/"/, "\\(dq", value)
    print "Default:"
    print ".Li " value " ."
}' "$sample"

cat <<PAGE
.Sh FILES
.Bl -tag -width Ds -compact
.It Pa /etc/tailslate/$side.cfg
the file described here
.El
.Sh SEE ALSO
.Xr tailslate-agent 8 ,
.Xr tailslate-verifier 8
PAGE
