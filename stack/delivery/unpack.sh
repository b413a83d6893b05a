#!/bin/sh
# muster-agent: unpacks itself once for each build, into a folder of its user alone, and becomes what it unpacked.
set -eu
build=@BUILD@
fail() {
  printf 'muster-agent: %s\n' "$1" >&2
  exit 1
}
if [ -n "${MUSTER_AGENT_CACHE:-}" ]; then
  cache=$MUSTER_AGENT_CACHE
elif [ -n "${MUSTER_AGENT_STATE_DIR:-}" ]; then
  cache=$MUSTER_AGENT_STATE_DIR/cache
elif [ "$(id -u)" = 0 ]; then
  cache=/var/cache/muster-agent
elif [ -n "${HOME:-}" ]; then
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/muster-agent
else
  fail 'there is no HOME to unpack below: set MUSTER_AGENT_CACHE'
fi
own=$cache/muster-agent-$build
if [ ! -f "$own/.whole" ]; then
  umask 077
  mkdir -p "$cache" || fail "cannot make the folder $cache: set MUSTER_AGENT_CACHE to another"
  scratch=$(mktemp -d "$cache/.unpack.XXXXXX") || fail "cannot write in $cache: set MUSTER_AGENT_CACHE to another"
  trap 'rm -rf "$scratch"' EXIT
  tail -n +@LINES@ "$0" | gzip -dc | tar -xf - -C "$scratch" || fail "$0 is damaged, or $cache is full"
  [ -x "$scratch/muster-agent" ] || fail "$0 is damaged"
  # the mark may be on the disk only after what it speaks of
  sync
  : >"$scratch/.whole"
  # what is there without the mark is left of a crash; whoever else unpacks at this moment may be faster
  if [ -e "$own" ] && [ ! -f "$own/.whole" ]; then rm -rf "$own"; fi
  mv "$scratch" "$own" 2>/dev/null || [ -f "$own/.whole" ] || fail "cannot write in $cache"
  rm -rf "${own:?}/${scratch##*/}"
  trap - EXIT
  # what nobody starts any more: an agent that runs beside its trial is one of the newest
  find "$cache" -maxdepth 1 -name '.unpack.*' -mtime +0 -exec rm -rf {} + 2>/dev/null || :
  # shellcheck disable=SC2012 # the names are ours
  ls -dt "$cache"/muster-agent-* | tail -n +4 | while IFS= read -r old; do rm -rf "$old"; done
fi
# shellcheck disable=SC2012 # find -user is not everywhere, and the name is ours
owner=$(ls -ldn "$own" | awk '{print $3}')
[ "$owner" = "$(id -u)" ] || fail "$own belongs to somebody else: set MUSTER_AGENT_CACHE to another folder"
touch "$own" 2>/dev/null || : # by which its age is told
MUSTER_AGENT_FILE=$0
export MUSTER_AGENT_FILE
exec "$own/muster-agent" "$@"
