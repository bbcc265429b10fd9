#!/usr/bin/perl
# A service manager's notification socket, for want of the manager: notify.pl SOCKET LOG
# Each line of each message goes into LOG.
use strict;
use warnings;
use IO::Handle;
use Socket;
my ($path, $log) = @ARGV;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($socket, pack_sockaddr_un($path)) or die "bind $path: $!";
chmod 0777, $path or die "chmod $path: $!";
open(my $out, '>>', $log) or die "$log: $!";
$out->autoflush(1);
while (defined recv($socket, my $message, 4096, 0)) {
    print $out "$message\n";
}
