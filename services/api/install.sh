#!/bin/sh
# Installs the agent of a Muster installation, which made this script, on the machine that runs it, as root:
#
#   (echo MUSTER_ENROL_TOKEN=me_...; curl -fsSL https://muster.example.org/api/v1/download/install.sh || echo exit 1) | sudo sh
#   ... | sudo sh -s -- [--run | --no-service] [--update | --no-update]
#   sudo sh /usr/local/lib/muster-agent/install.sh --uninstall [--purge]
#
# It can be run again: it brings what is there up to date, and keeps the machine's credential and what people have set.
set -eu
# @settings@

user=muster-agent
lib=/usr/local/lib/muster-agent
state=/var/lib/muster-agent
env_file=/etc/muster-agent.env
unit=/etc/systemd/system/muster-agent.service
rc=/etc/init.d/muster-agent
plist=/Library/LaunchDaemons/org.muster.agent.plist
ours='MUSTER_SERVER|MUSTER_AGENT_STATE_DIR|MUSTER_AGENT_UPDATE|MUSTER_AGENT_UPDATE_KEY|MUSTER_ENROL_TOKEN'
enrols_within_s=30
scratch=''
changed=no
fresh=no
kind=''
agent=''
previous=''

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
  --update      it takes newer ones from the server, as it does unless it was told otherwise (MUSTER_AGENT_UPDATE=1)
  --uninstall   remove the agent, its service, its settings and its user
  --purge       with --uninstall: its state with the credential as well
environment:
  MUSTER_ENROL_TOKEN  what the machine enrols with, unless the script carries a token or it has enrolled already
  MUSTER_SERVER       another address of the same installation
USAGE
}

download() { # URL FILE
  if has curl; then
    curl -fsSL --connect-timeout 20 --max-time 900 -o "$2" "$1" || fail "cannot download $1 $(hint)"
  elif has wget; then
    # not with -T, by which the wget of BusyBox 1.35 crashes
    limit=$(timeout 1 true 2>/dev/null && echo timeout 900 || true)
    # shellcheck disable=SC2086 # no words where there is no such command
    $limit wget -q -O "$2" "$1" || fail "cannot download $1 $(hint)"
  else
    fail 'curl or wget is needed'
  fi
}

hint() { printf '(behind a proxy: sudo HTTPS_PROXY=... sh)'; }

last_line() { awk 'NF {line = $0} END {print line}'; }

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

as_user() { # COMMAND...; in the place of this shell
  cd /
  group=$(id -gn "$user")
  if setpriv --reuid="$user" --regid="$group" --clear-groups true </dev/null 2>/dev/null; then
    exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs "$@" </dev/null
  elif [ "$(uname -s)" = Darwin ]; then
    exec sudo -n -E -u "$user" "$@" </dev/null
  fi
  # shellcheck disable=SC2016 # the other shell has the words of the command
  exec su -s /bin/sh -c 'exec "$@"' -- "$user" sh "$@" </dev/null
}

suits() { # PYTHON; whether it is new enough, and one that the agent's user may run
  [ -x "$1" ] && (as_user "$1" -c 'import sys; assert sys.version_info >= (3, 9)') >/dev/null 2>&1
}

find_python() {
  for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
    # root's own may come first in its PATH, and be for root alone
    for found in "$(command -v "$name" || true)" "/usr/local/bin/$name" "/usr/bin/$name"; do
      case $found in '' | *[!A-Za-z0-9/._+-]*) continue ;; esac
      if suits "$found"; then
        printf '%s\n' "$found"
        return 0
      fi
    done
  done
  return 1
}

choose_build() { # sets version, sum, kind (its path on the server), python and command
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  arch=$(uname -m)
  case $arch in amd64) arch=x86_64 ;; arm64) arch=aarch64 ;; esac
  # what 64-bit kernels run below themselves
  if [ "$(getconf LONG_BIT 2>/dev/null || true)" = 32 ]; then
    case $arch in x86_64) arch=i686 ;; aarch64) arch=armv7l ;; esac
  fi
  found=$(offered "$os" "$arch")
  if [ -n "$found" ] && runs_with_glibc "${found##* }"; then
    kind=$os/$arch
    python=''
  else
    found=$(offered any python3)
    [ -n "$found" ] || fail "this installation offers no agent for $os on $arch: muster agent build makes them"
    python=$(find_python) || fail "the agent for $os on $arch needs Python 3.9 or newer that $user may run, and there is none"
    kind=any/python3
  fi
  command="${python:+$python }$lib/current"
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
  id -u "$user" >/dev/null 2>&1 || fail "the system user $user could not be made"
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
    # what SELinux lets systemd start; elsewhere there is no such thing
    if [ -e /sys/fs/selinux/enforce ] && has chcon; then chcon -t bin_t "$target.new" 2>/dev/null || true; fi
    try_agent "$target.new"
    mv -f "$target.new" "$target"
    changed=yes
  fi
  previous=$(readlink "$lib/current" 2>/dev/null || true)
  if [ "$previous" != "versions/$version/muster-agent" ]; then
    ln -s "versions/$version/muster-agent" "$lib/current.new.$$"
    mv -f "$lib/current.new.$$" "$lib/current"
    changed=yes
  fi
  # what the agent took by itself was for the version that was installed before
  if [ "$changed" = yes ]; then rm -rf "$state/update"; fi
}

try_agent() { # FILE; before it takes the place of another one
  # shellcheck disable=SC2086 # no word where it needs no Python
  if said=$(each_setting export_setting && as_user $python "$1" --version 2>&1); then return 0; fi
  rm -f "$1"
  rmdir "${1%/*}" 2>/dev/null || true
  fail "the agent does not run here as the user $user: $(printf '%s\n' "$said" | last_line)"
}

forget_old_versions() { # all but the one that is installed, and the one before
  [ -n "$previous" ] && [ "$previous" != "versions/$version/muster-agent" ] || return 0
  for each in "$lib"/versions/*; do
    case $each/muster-agent in "$lib/$previous" | "$target") ;; *) rm -rf "$each" ;; esac
  done
}

put_copy() { # of this script without a token, so that it can be undone without a server
  download "$server/api/v1/download/install.sh" "$scratch/file"
  chmod 0755 "$scratch/file"
  cp -p "$scratch/file" "$lib/install.sh.new.$$"
  mv -f "$lib/install.sh.new.$$" "$lib/install.sh"
}

put_file() { # PATH MODE; what was written to $scratch/file goes there in one step
  if [ -f "$1" ] && cmp -s "$scratch/file" "$1"; then return 0; fi
  (umask 077 && cp "$scratch/file" "$1.new.$$")
  chmod "$2" "$1.new.$$"
  mv -f "$1.new.$$" "$1"
  changed=yes
}

settings() { # ours, and what people have added
  printf 'MUSTER_SERVER=%s\nMUSTER_AGENT_STATE_DIR=%s\n' "$server" "$state"
  printf 'MUSTER_AGENT_UPDATE=%s\nMUSTER_AGENT_UPDATE_KEY=%s\n' "$update" "$key"
  if [ -f "$env_file" ]; then grep -Ev "^[[:space:]]*($ours)=" "$env_file" || true; else taken_over; fi
}

taken_over() { # from this environment: by what this script got through, the agent must get through as well
  for name in HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy NO_PROXY no_proxy SSL_CERT_FILE SSL_CERT_DIR; do
    eval "value=\${$name:-}"
    case $value in
      '') ;;
      *[\'\\]* | *[![:print:]]*) say "left out $name: it has a quote, a backslash or what cannot be printed" >&2 ;;
      *) printf "%s='%s'\n" "$name" "$value" ;;
    esac
  done
}

set_before() { # NAME; what the settings that are there say
  if [ -f "$env_file" ]; then sed -n "s/^$1=//p" "$env_file" | tail -n 1 | tr -d "'\""; fi
}

each_setting() { # COMMAND; calls it with the name and the value of each, read as systemd reads them
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*}
    value=${line#*=}
    case $name in "$line" | '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
    case $value in
      \'*\') value=${value#?} value=${value%?} ;;
      \"*\") value=${value#?} value=${value%?} ;;
    esac
    "$1" "$name" "$value"
  done <"$scratch/settings"
}

export_setting() { export "$1=$2"; }

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
# a setting that is wrong, or no credential: only a person can help
RestartPreventExitStatus=2
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
error_logger="logger -t muster-agent -p daemon.info"
set -a
. $env_file
set +a
depend() {
  want net
  after firewall
}
SCRIPT
}

launchd_plist() {
  printf '<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>\n'
  printf '<key>Label</key><string>org.muster.agent</string>\n<key>UserName</key><string>%s</string>\n' "$user"
  printf '<key>KeepAlive</key><true/><key>RunAtLoad</key><true/>\n<key>ProgramArguments</key><array>\n'
  for word in $command; do printf '<string>%s</string>\n' "$word"; done
  printf '</array>\n<key>EnvironmentVariables</key><dict>\n'
  each_setting plist_setting
  printf '</dict>\n</dict></plist>\n'
}

plist_setting() {
  printf '<key>%s</key><string>%s</string>\n' "$1" "$(printf '%s' "$2" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')"
}

enrol() { # where there is no credential yet; the token is written nowhere, and no argument of a command
  if [ -f "$state/credential.json" ]; then return 0; fi
  say 'enrolling this machine'
  (each_setting export_setting && be_agent --no-update) >"$scratch/log" 2>&1 &
  agent=$!
  waited_s=0
  while [ ! -f "$state/credential.json" ] && [ "$waited_s" -lt "$enrols_within_s" ] && kill -0 "$agent" 2>/dev/null; do
    sleep 1
    waited_s=$((waited_s + 1))
  done
  said=$(last_line <"$scratch/log")
  end_agent
  [ -f "$state/credential.json" ] || fail "this machine could not enrol within $waited_s s: $said"
  # from here on there is something to keep
  fresh=no
}

end_agent() { # the one that enrols
  if [ -z "$agent" ]; then return 0; fi
  kill -TERM "$agent" 2>/dev/null || true
  # it says goodbye within five seconds
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$agent" 2>/dev/null || break
    sleep 1
  done
  kill -KILL "$agent" 2>/dev/null || true
  agent=''
}

put_service() {
  if [ -d /run/systemd/system ] && has systemctl; then
    systemd_unit >"$scratch/file"
    put_file "$unit" 0644
    systemctl daemon-reload
    systemctl enable --quiet muster-agent
    runs_with_systemd || { has_no_namespaces && go_without_namespaces && runs_with_systemd; } ||
      fail "the service does not stay up: $(journalctl _SYSTEMD_UNIT=muster-agent.service -n 1 -o cat --no-pager 2>&1)"
    say 'the service muster-agent runs (systemd): journalctl -u muster-agent'
  elif has rc-service && [ -d /etc/init.d ]; then
    openrc_script >"$scratch/file"
    put_file "$rc" 0755
    rc-update add muster-agent default >/dev/null
    if [ "$changed" = yes ]; then rc-service muster-agent restart; else rc-service muster-agent start; fi
    stays rc-service muster-agent status || fail 'the service does not stay up: rc-service muster-agent status'
    say 'the service muster-agent runs (OpenRC)'
  elif [ "$(uname -s)" = Darwin ]; then
    launchd_plist >"$scratch/file"
    put_file "$plist" 0600
    launchctl bootout system/org.muster.agent 2>/dev/null || true
    # the one before may take a while to be gone, and nothing starts in its place until then
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      launchctl bootstrap system "$plist" 2>/dev/null && break
      sleep 2
    done
    stays launchd_runs || fail 'the service does not stay up: launchctl print system/org.muster.agent'
    say 'the service org.muster.agent runs (launchd)'
  else
    say 'there is no systemd, OpenRC or launchd here'
    say_by_hand
  fi
}

runs_with_systemd() {
  if [ "$changed" = yes ]; then systemctl restart muster-agent; else systemctl start muster-agent; fi
  stays systemctl is-active muster-agent
}

has_no_namespaces() { # EXIT_NAMESPACE in systemd.exec(5): as in a container of LXC without nesting
  [ "$(systemctl show -p ExecMainStatus muster-agent)" = ExecMainStatus=226 ]
}

go_without_namespaces() {
  say 'this container lets no service have namespaces of its own: the service goes without what needs them'
  {
    echo '[Service]'
    for name in ProtectSystem ProtectHome PrivateTmp ProtectKernelTunables ProtectKernelModules ProtectKernelLogs \
      ProtectControlGroups ProtectHostname; do
      echo "$name=no"
    done
  } >"$scratch/file"
  mkdir -p "$unit.d"
  put_file "$unit.d/no-namespaces.conf" 0644
  systemctl daemon-reload
}

stays() { # COMMAND...; whether it succeeds for five seconds: less than the pause before a service is started again
  for _ in 1 2 3 4 5; do
    sleep 1
    "$@" >/dev/null 2>&1 || return 1
  done
}

launchd_runs() { launchctl print system/org.muster.agent | grep -q 'state = running'; }

say_by_hand() {
  say 'the agent is installed; to run it:'
  printf '  (set -a; . %s; exec su -s /bin/sh %s -c "exec %s")\n' "$env_file" "$user" "$command"
}

run_here() {
  say 'running the agent in the foreground'
  each_setting export_setting
  rm -rf "$scratch"
  be_agent
}

be_agent() { # FLAG...; in the place of this shell, which has exported the settings
  if [ ! -f "$state/credential.json" ]; then export MUSTER_ENROL_TOKEN="$token"; else unset MUSTER_ENROL_TOKEN; fi
  # shellcheck disable=SC2086 # two words, the interpreter and the agent
  as_user $command "$@"
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
  update=${update:-$(set_before MUSTER_AGENT_UPDATE)}
  update=${update:-1}
  case $update in 0 | 1) ;; *) fail 'MUSTER_AGENT_UPDATE is neither 0 nor 1' ;; esac
  if [ -z "$token" ] && [ ! -f "$state/credential.json" ]; then
    fail 'set MUSTER_ENROL_TOKEN to an enrolment token, which the page and muster agent install-line make'
  fi
}

install_agent() {
  require_good_settings
  umask 022
  if ! { [ -e "$lib" ] || [ -e "$env_file" ] || [ -e "$state" ] || id -u "$user" >/dev/null 2>&1; }; then fresh=yes; fi
  scratch=$(mktemp -d)
  trap leave EXIT
  trap 'exit 130' INT TERM
  make_user
  choose_build
  mkdir -p "$lib" "$state"
  chown -hR "$user" "$state"
  chmod 0700 "$state"
  put_copy
  settings >"$scratch/settings"
  put_agent
  cp "$scratch/settings" "$scratch/file"
  put_file "$env_file" 0600
  case $mode in
    run) run_here ;;
    by-hand)
      enrol
      say_by_hand
      ;;
    service)
      enrol
      put_service
      ;;
  esac
  forget_old_versions
  if [ "$changed" = no ]; then say "the agent $version was installed already"; else say "the agent $version is installed"; fi
}

leave() { # with nothing half installed
  status=$?
  end_agent
  rm -rf "$scratch"
  if [ "$status" != 0 ] && [ "$fresh" = yes ]; then
    purge=yes
    remove >/dev/null 2>&1 || true
  elif [ "$status" != 0 ] && [ -f "$lib/install.sh" ]; then
    say "what is installed stays; to remove it: sudo sh $lib/install.sh --uninstall --purge" >&2
  fi
  exit "$status"
}

remove() {
  if [ -f "$unit" ]; then
    systemctl disable --now --quiet muster-agent 2>/dev/null || true
    rm -rf "$unit" "$unit.d"
    systemctl daemon-reload 2>/dev/null || true
    systemctl reset-failed muster-agent 2>/dev/null || true
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
  # the last one is where the agent unpacks itself for root
  rm -rf "$lib" "$env_file" /var/cache/muster-agent
  if [ "$purge" = yes ]; then
    rm -rf "$state"
  elif [ -d "$state" ]; then
    remove_all_but_identity
  fi
  remove_user
}

remove_all_but_identity() {
  for each in "$state"/* "$state"/.[!.]*; do
    case $each in "$state/credential.json" | "$state/machine-id") ;; *) rm -rf "$each" ;; esac
  done
  # its user goes, and who gets the number next must not get the credential
  chown -hR 0 "$state"
  say "the credential stays in $state; --purge removes it"
}

remove_user() {
  if id -u "$user" >/dev/null 2>&1; then
    if [ "$(uname -s)" = Darwin ]; then
      dscl . -delete "/Users/$user" || say "the user $user stays"
    elif has userdel; then
      userdel "$user" || say "the user $user stays: is its agent still running?"
    else
      deluser "$user" || say "the user $user stays: is its agent still running?"
    fi
  fi
  # some remove it with the user, and some do not
  if ! id -u "$user" >/dev/null 2>&1 && grep -qs "^$user:" /etc/group; then
    if has groupdel; then groupdel "$user"; else delgroup "$user"; fi || say "the group $user stays"
  fi
}

main() {
  action=install mode=service purge=no update=${MUSTER_AGENT_UPDATE:-}
  if [ -n "${MUSTER_NO_SERVICE:-}" ]; then mode=by-hand; fi
  while [ $# -gt 0 ]; do
    case $1 in
      --run) mode=run ;;
      --no-service) mode=by-hand ;;
      --no-update) update=0 ;;
      --update) update=1 ;;
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
    uninstall)
      remove
      say 'the agent is uninstalled'
      ;;
  esac
}

# all of it has been read by now: a download that is cut short does nothing
main "$@"
