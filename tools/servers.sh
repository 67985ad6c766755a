#!/usr/bin/env bash
# Unpacks the real servers of the tests that Debian does not let stand beside Dovecot and Postfix (its POP3 packages
# exclude each other, and its mail transport agents do) into .cache/servers/<name>/, and installs the libraries they
# need. Nothing of theirs is started, and no user is made for them. Needs apt's package lists, and root (or sudo) for
# the libraries alone.
set -euo pipefail
cd "$(dirname "$0")/.."

export DEBIAN_FRONTEND=noninteractive
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

unpack() {
  local name=$1 package fetched libraries
  shift
  fetched=.cache/servers/$name.new
  rm -rf "$fetched"
  mkdir -p "$fetched/debs"
  # as root, apt would fetch as _apt, who may not write here
  (cd "$fetched/debs" && apt-get download -qq -o APT::Sandbox::User=root "$@")
  for package in "$fetched"/debs/*.deb; do
    dpkg-deb -x "$package" "$fetched"
    dpkg-deb -f "$package" Pre-Depends Depends
  done >"$fetched/depends"
  libraries=$(sed 's/^[A-Z][A-Za-z-]*: //' "$fetched/depends" | tr ',' '\n' | grep -o '^ *lib.*' | paste -sd ,)
  as_root apt-get satisfy -y -qq --no-install-recommends "$libraries" >/dev/null
  rm -rf "$fetched/debs" "$fetched/depends" ".cache/servers/$name"
  mv "$fetched" ".cache/servers/$name"
}

unpack courier courier-pop courier-base courier-authdaemon courier-authlib courier-authlib-userdb
unpack cyrus cyrus-pop3d cyrus-common sasl2-bin
unpack exim exim4-daemon-light
