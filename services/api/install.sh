#!/bin/sh
# Installs the agent of a Muster installation, which made this script, on the machine that runs it, as root:
#
#   curl -fsSL https://muster.example.org/api/v1/download/install.sh | sudo MUSTER_ENROL_TOKEN=me_... sh
#   ... | sudo sh -s -- [--run | --no-service] [--no-update]
#   ... | sudo sh -s -- --uninstall [--purge]
#
# It can be run again: it brings what is there up to date, and keeps the machine's credential.
set -eu
# @settings@

user=muster-agent
lib=/usr/local/lib/muster-agent
state=/var/lib/muster-agent
env_file=/etc/muster-agent.env
unit=/etc/systemd/system/muster-agent.service
rc=/etc/init.d/muster-agent
plist=/Library/LaunchDaemons/org.muster.agent.plist
scratch=''
changed=no
kind=''

say() { printf 'muster-agent: %s\n' "$*"; }
fail() {
  printf 'muster-agent: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

usage() {
  cat <<'USAGE'
usage: sh install.sh [OPTION]...
  --run         set up no service, and run the agent in the foreground (for containers)
  --no-service  set up no service, and say how to run the agent (also: MUSTER_NO_SERVICE=1)
  --no-update   the agent stays as it is installed (also: MUSTER_AGENT_UPDATE=0)
  --uninstall   remove the agent, its service, its settings and its user
  --purge       with --uninstall: its state with the credential as well
environment:
  MUSTER_ENROL_TOKEN  what the machine enrols with, unless the script carries a token or it has enrolled already
  MUSTER_SERVER       another address of the same installation
USAGE
}

download() { # URL FILE
  if has curl; then
    curl -fsSL --connect-timeout 20 --max-time 900 -o "$2" "$1" || fail "cannot download $1"
  elif has wget; then
    wget -q -T 60 -O "$2" "$1" || fail "cannot download $1"
  else
    fail 'curl or wget is needed'
  fi
}

sha256() { # FILE
  if has sha256sum; then
    sha256sum "$1"
  elif has shasum; then
    shasum -a 256 "$1"
  elif has openssl; then
    openssl dgst -sha256 -r "$1"
  else
    fail 'sha256sum, shasum or openssl is needed'
  fi | awk '{print $1}'
}

offered() { # OS ARCH; prints version, SHA-256 and the oldest glibc
  printf '%s\n' "$builds" | awk -v os="$1" -v arch="$2" '$1 == os && $2 == arch {print $3, $4, $5; exit}'
}

runs_with_glibc() { # OLDEST
  [ "$1" != - ] || return 0
  getconf GNU_LIBC_VERSION 2>/dev/null | awk -v oldest="$1" '
    {split($2, have, "."); split(oldest, need, "."); found = 1; ok = have[1] > need[1] || (have[1] == need[1] && have[2] >= need[2])}
    END {exit !(found && ok)}'
}

find_python() {
  for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
    if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

choose_build() { # sets version, sum, kind (its path on the server) and command
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  arch=$(uname -m)
  case $arch in amd64) arch=x86_64 ;; arm64) arch=aarch64 ;; esac
  found=$(offered "$os" "$arch")
  if [ -n "$found" ] && runs_with_glibc "${found##* }"; then
    kind=$os/$arch
    command=$lib/current
  else
    found=$(offered any python3)
    [ -n "$found" ] || fail "this installation offers no agent for $os on $arch: muster agent build makes them"
    python=$(find_python) || fail "the agent for $os on $arch needs Python 3.9 or newer, and there is none"
    case $python in *[!A-Za-z0-9/._+-]*) fail "cannot use the Python at $python" ;; esac
    kind=any/python3
    command="$python $lib/current"
  fi
  version=${found%% *}
  sum=${found#* }
  sum=${sum%% *}
}

make_user() {
  if id -u "$user" >/dev/null 2>&1; then return 0; fi
  if [ "$(uname -s)" = Darwin ]; then
    number=450
    while dscl . -list /Users UniqueID | awk '{print $2}' | grep -qx "$number"; do number=$((number + 1)); done
    dscl . -create "/Users/$user"
    dscl . -create "/Users/$user" UniqueID "$number"
    dscl . -create "/Users/$user" PrimaryGroupID 20
    dscl . -create "/Users/$user" UserShell /usr/bin/false
    dscl . -create "/Users/$user" NFSHomeDirectory "$state"
  elif has useradd; then
    useradd --system --user-group --no-create-home --home-dir "$state" --shell /bin/false "$user"
  elif has adduser; then
    addgroup -S "$user" 2>/dev/null || true
    adduser -S -D -H -h "$state" -s /bin/false -G "$user" "$user"
  else
    fail "cannot make the user $user: useradd or adduser is needed"
  fi
  say "made the system user $user"
}

put_agent() {
  target=$lib/versions/$version/muster-agent
  if [ ! -f "$target" ] || [ "$(sha256 "$target")" != "$sum" ]; then
    say "downloading the agent $version ($kind)"
    download "$server/api/v1/download/agent/$kind/$version" "$scratch/agent"
    [ "$(sha256 "$scratch/agent")" = "$sum" ] || fail 'the download is not what was offered (its SHA-256 differs)'
    mkdir -p "$lib/versions/$version"
    chmod 0755 "$scratch/agent"
    # beside its place first: a copy that is cut short must not be taken for the agent
    cp -p "$scratch/agent" "$target.new"
    mv -f "$target.new" "$target"
    changed=yes
  fi
  if [ "$(readlink "$lib/current" 2>/dev/null || true)" != "versions/$version/muster-agent" ]; then
    ln -s "versions/$version/muster-agent" "$lib/current.new.$$"
    mv -f "$lib/current.new.$$" "$lib/current"
    changed=yes
  fi
  # what the agent took by itself was for the version that was installed before
  if [ "$changed" = yes ]; then rm -rf "$state/update"; fi
}

put_file() { # PATH MODE; what was written to $scratch/file goes there in one step
  if [ -f "$1" ] && cmp -s "$scratch/file" "$1"; then return 0; fi
  (umask 077 && cp "$scratch/file" "$1.new.$$")
  chmod "$2" "$1.new.$$"
  mv -f "$1.new.$$" "$1"
  changed=yes
}

settings() {
  printf 'MUSTER_SERVER=%s\nMUSTER_AGENT_STATE_DIR=%s\n' "$server" "$state"
  printf 'MUSTER_AGENT_UPDATE=%s\nMUSTER_AGENT_UPDATE_KEY=%s\n' "$update" "$key"
  # a machine that has enrolled has no use for a token any more
  if [ ! -f "$state/credential.json" ]; then printf 'MUSTER_ENROL_TOKEN=%s\n' "$token"; fi
}

systemd_unit() {
  cat <<UNIT
[Unit]
Description=Muster agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$command
EnvironmentFile=$env_file
User=$user
Restart=always
RestartSec=5
StateDirectory=muster-agent
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
MemoryHigh=200M
TasksMax=64

[Install]
WantedBy=multi-user.target
UNIT
}

openrc_script() {
  cat <<SCRIPT
#!/sbin/openrc-run
name=muster-agent
supervisor=supervise-daemon
command=${command%% *}
command_args="${command#"${command%% *}"}"
command_user=$user
respawn_delay=5
respawn_max=0
umask=0077
set -a
. $env_file
set +a
depend() {
  need net
}
SCRIPT
}

launchd_plist() {
  printf '<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>\n'
  printf '<key>Label</key><string>org.muster.agent</string>\n<key>UserName</key><string>%s</string>\n' "$user"
  printf '<key>KeepAlive</key><true/><key>RunAtLoad</key><true/>\n<key>ProgramArguments</key><array>\n'
  for word in $command; do printf '<string>%s</string>\n' "$word"; done
  printf '</array>\n<key>EnvironmentVariables</key><dict>\n'
  settings | while IFS='=' read -r name value; do printf '<key>%s</key><string>%s</string>\n' "$name" "$value"; done
  printf '</dict>\n</dict></plist>\n'
}

put_service() {
  if [ -d /run/systemd/system ] && has systemctl; then
    systemd_unit >"$scratch/file"
    put_file "$unit" 0644
    systemctl daemon-reload
    systemctl enable --quiet muster-agent
    if [ "$changed" = yes ]; then systemctl restart muster-agent; else systemctl start muster-agent; fi
    say 'the service muster-agent runs (systemd): journalctl -u muster-agent'
  elif has rc-service && [ -d /etc/init.d ]; then
    openrc_script >"$scratch/file"
    put_file "$rc" 0755
    rc-update add muster-agent default >/dev/null
    if [ "$changed" = yes ]; then rc-service muster-agent restart; else rc-service muster-agent start; fi
    say 'the service muster-agent runs (OpenRC)'
  elif [ "$(uname -s)" = Darwin ]; then
    launchd_plist >"$scratch/file"
    put_file "$plist" 0600
    launchctl bootout system/org.muster.agent 2>/dev/null || true
    launchctl bootstrap system "$plist"
    say 'the service org.muster.agent runs (launchd)'
  else
    say 'there is no systemd, OpenRC or launchd here'
    say_by_hand
  fi
}

say_by_hand() {
  say 'the agent is installed; to run it:'
  printf '  (set -a; . %s; exec su -s /bin/sh %s -c "exec %s")\n' "$env_file" "$user" "$command"
}

run_here() {
  set -a
  # shellcheck disable=SC1090 # it was written a moment ago
  . "$env_file"
  set +a
  cd /
  say 'running the agent in the foreground'
  group=$(id -gn "$user")
  rm -rf "$scratch"
  if setpriv --reuid="$user" --regid="$group" --clear-groups true 2>/dev/null; then
    # shellcheck disable=SC2086 # two words, the interpreter and the agent
    exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs $command </dev/null
  fi
  exec su -s /bin/sh "$user" -c "exec $command" </dev/null
}

require_good_settings() {
  server=${MUSTER_SERVER:-$server}
  case $server in
    http://* | https://*) ;;
    *) fail "MUSTER_SERVER is no URL: $server" ;;
  esac
  case $server in *[!][A-Za-z0-9.:/_-]*) fail 'MUSTER_SERVER has characters that no address has' ;; esac
  token=${MUSTER_ENROL_TOKEN:-$token}
  case $token in *[!A-Za-z0-9_.~+/=:@-]*) fail 'MUSTER_ENROL_TOKEN has characters that no token has' ;; esac
  case $update in 0 | 1) ;; *) fail 'MUSTER_AGENT_UPDATE is neither 0 nor 1' ;; esac
  if [ -z "$token" ] && [ ! -f "$state/credential.json" ]; then
    fail 'set MUSTER_ENROL_TOKEN to an enrolment token, which the page and muster agent install-line make'
  fi
}

install_agent() {
  require_good_settings
  umask 022
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT TERM
  choose_build
  make_user
  mkdir -p "$lib" "$state"
  chown -hR "$user" "$state"
  chmod 0700 "$state"
  put_agent
  settings >"$scratch/file"
  put_file "$env_file" 0600
  case $mode in
    run) run_here ;;
    by-hand) say_by_hand ;;
    service) put_service ;;
  esac
  if [ "$changed" = no ]; then say "the agent $version was installed already"; else say "the agent $version is installed"; fi
}

uninstall() {
  if [ -f "$unit" ]; then
    systemctl disable --now --quiet muster-agent 2>/dev/null || true
    rm -f "$unit"
    systemctl daemon-reload 2>/dev/null || true
  fi
  if [ -f "$rc" ]; then
    rc-service muster-agent stop 2>/dev/null || true
    rc-update del muster-agent 2>/dev/null || true
    rm -f "$rc"
  fi
  if [ -f "$plist" ]; then
    launchctl bootout system/org.muster.agent 2>/dev/null || true
    rm -f "$plist"
  fi
  rm -rf "$lib" "$env_file"
  if [ "$purge" = yes ]; then
    rm -rf "$state"
  elif [ -d "$state" ]; then
    rm -rf "$state/cache" "$state/update"
    # its user goes, and who gets the number next must not get the credential
    chown -hR 0 "$state"
    say "the credential stays in $state; --purge removes it"
  fi
  if id -u "$user" >/dev/null 2>&1; then
    if [ "$(uname -s)" = Darwin ]; then
      dscl . -delete "/Users/$user" || say "the user $user stays"
    elif has userdel; then
      userdel "$user" || say "the user $user stays: is its agent still running?"
    else
      deluser "$user" || say "the user $user stays: is its agent still running?"
    fi
  fi
  say 'the agent is uninstalled'
}

main() {
  action=install mode=service purge=no update=${MUSTER_AGENT_UPDATE:-1}
  if [ -n "${MUSTER_NO_SERVICE:-}" ]; then mode=by-hand; fi
  while [ $# -gt 0 ]; do
    case $1 in
      --run) mode=run ;;
      --no-service) mode=by-hand ;;
      --no-update) update=0 ;;
      --uninstall) action=uninstall ;;
      --purge) purge=yes ;;
      -h | --help)
        usage
        return 0
        ;;
      *) fail "there is no option $1: see --help" ;;
    esac
    shift
  done
  if [ "$purge" = yes ] && [ "$action" = install ]; then fail '--purge goes with --uninstall'; fi
  [ "$(id -u)" = 0 ] || fail 'run this as root, such as with sudo'
  case $action in
    install) install_agent ;;
    uninstall) uninstall ;;
  esac
}

# all of it has been read by now: a download that is cut short does nothing
main "$@"
