# What an administrator would write in Perl: log on, list, leave. Arguments: link port user password-file ca-file
use strict;
use warnings;

# Net::POP3 loads IO::Socket::SSL wherever it is installed; a plaintext script should not pay for that.
BEGIN {
    unshift @INC, sub { die "not in plaintext\n" if $_[1] eq 'IO/Socket/SSL.pm'; return }
      if $ARGV[0] eq 'plaintext';
}
use Net::POP3;

my ($link, $port, $user, $password_file, $ca_file) = @ARGV;
open my $file, '<', $password_file or die "$password_file: $!";
chomp(my $password = <$file>);
my @tls = (SSL_ca_file => $ca_file, SSL_verify_mode => 1, SSL_verifycn_name => 'localhost');

my $pop3 = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 10, $link eq 'ssl' ? (SSL => 1, @tls) : ())
  or die "connect: $@";
if ($link eq 'tls') {
    $pop3->starttls(@tls) or die 'starttls: ' . $pop3->message;
}
defined $pop3->login($user, $password) or die 'login: ' . $pop3->message;
my $messages = $pop3->list or die 'list: ' . $pop3->message;
$pop3->quit;
printf "OK - %d messages\n", scalar keys %$messages;
