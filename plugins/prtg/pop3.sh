#!/bin/sh
# PRTG, sensor SSH Script Advanced. Goes to /var/prtg/scriptsxml/ on the machine that is to test, mode 755. The sensor's
# setting Parameters: -H mail.example.com, and what more there is to say.
exec /usr/local/bin/prtg_pop3 -u @/etc/pop3.cred "$@"
