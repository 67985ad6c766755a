#!/usr/bin/env bash
# Unpacks the frontend of Zabbix 7.0, and what fills a database for it, into .cache/servers/zabbix-7.0/. They are
# packages of Debian 13; the frontend runs on the PHP of Debian 12, the server does not. apt gets a source and a state of
# its own for it: nothing is installed, and the system learns of no other release.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$PWD/.cache/servers/zabbix-7.0
rm -rf "$place.new"
mkdir -p "$place.new"/apt/{state/lists/partial,cache/archives/partial,debs}
# Wherever this machine has Debian itself from; its security updates are elsewhere.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
cat >"$place.new/apt/sources.list" <<END
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main
END
own=(
  -o "Dir::Etc::sourcelist=$place.new/apt/sources.list" -o Dir::Etc::sourceparts=-
  -o "Dir::State=$place.new/apt/state" -o Dir::State::status=/dev/null -o "Dir::Cache=$place.new/apt/cache"
  -o APT::Sandbox::User=root -o Acquire::Retries=3
)
apt-get "${own[@]}" update -qq
(cd "$place.new/apt/debs" && apt-get "${own[@]}" download -qq zabbix-frontend-php zabbix-server-pgsql)
for package in "$place.new"/apt/debs/*.deb; do
  dpkg-deb -x "$package" "$place.new"
done
rm -rf "$place.new/apt" "$place"
mv "$place.new" "$place"
