# How mail loops are usually written: retrieve everything and look for a subject. Arguments: port user password-file
use strict;
use warnings;

BEGIN { unshift @INC, sub { die "not in plaintext\n" if $_[1] eq 'IO/Socket/SSL.pm'; return } }
use Net::POP3;

my ($port, $user, $password_file) = @ARGV;
open my $file, '<', $password_file or die "$password_file: $!";
chomp(my $password = <$file>);
my $pop3 = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 60) or die "connect: $@";
defined $pop3->login($user, $password) or die 'login: ' . $pop3->message;
my $messages = $pop3->list or die 'list: ' . $pop3->message;
my $found = 0;
for my $number (keys %$messages) {
    $found++ if grep { /^Subject: probe/ } @{ $pop3->get($number) };
}
$pop3->quit;
print "$found\n";
