#!/bin/bash
# Builds the base disk image that every Mutua machine shares.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: build.sh [--help]

Makes base.img: a 32 MiB ext4 file system with Debian's busybox-static and the files of
the folder root/ beside this script. The result depends on these and e2fsprogs alone: two
builds give the same bytes. Needs no root.

The image is kept at ${MUTUA_CACHE:-$HOME/.cache/mutua}/base/<digest>/base.img and made
again only when one of its sources changes. Its path is the only line on stdout.

environment:
  MUTUA_CACHE     the cache's folder
  MUTUA_BUSYBOX   the busybox to put in (default /bin/busybox; must be linked statically)
HELP
}

say() { echo "base: $*" >&2; }
fail() { say "$*"; exit 1; }

case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly cache="${MUTUA_CACHE:-$HOME/.cache/mutua}/base"
readonly busybox="${MUTUA_BUSYBOX:-/bin/busybox}"
readonly uuid=6d757475-6100-4000-8000-000000000001
readonly hash_seed=6d757475-6100-4000-8000-000000000002
# The time stamp of every file and of the file system: 2025-01-01.
readonly epoch=1735689600
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C TZ=UTC

for tool in mke2fs debugfs; do
  command -v "$tool" > /dev/null || fail "$tool is missing: apt-get install e2fsprogs"
done
[[ -x "$busybox" ]] || fail "$busybox is missing: apt-get install busybox-static"

sources_digest() {
  {
    sha256sum < "${BASH_SOURCE[0]}"
    sha256sum < "$busybox"
    mke2fs -V 2>&1
    cd "$here/root"
    find . -type f -printf '%m %p\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-32
}

digest="$(sources_digest)"
readonly digest
readonly result="$cache/$digest/base.img"
if [[ -f "$result" ]]; then
  say "cached"
  echo "$result"
  exit 0
fi

mkdir -p "$cache"
work="$(mktemp -d "$cache/.build.XXXXXX")"
readonly work
trap 'rm -rf "$work"' EXIT

say "collecting files"
readonly tree="$work/tree"
mkdir -p "$tree"/{bin,dev,etc/mutua,proc,root,run,sbin,sys,tmp,usr,var/log,www}
cp -r "$here/root/." "$tree/"
cp "$busybox" "$tree/bin/busybox"
ln -s ../bin "$tree/usr/bin"
ln -s ../sbin "$tree/usr/sbin"
ln -s /run/resolv.conf "$tree/etc/resolv.conf"
"$busybox" --list | while read -r applet; do
  if [[ "$applet" != busybox ]]; then ln -s busybox "$tree/bin/$applet"; fi
done
ln -s ../bin/sh "$tree/sbin/sh"
chmod -R u=rwX,go=rX "$tree"
chmod 1777 "$tree/tmp"
chmod 700 "$tree/root"
find "$tree" -exec touch --no-dereference --date="@$epoch" {} +

say "making the file system"
export E2FSPROGS_FAKE_TIME="$epoch"
readonly image="$work/base.img"
mke2fs -q -t ext4 -b 4096 -I 256 -N 2048 -m 0 -J size=4 -L mutua-base -U "$uuid" \
  -O '^64bit,^huge_file,^resize_inode,^orphan_file,^metadata_csum_seed' \
  -E "hash_seed=$hash_seed,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard" \
  -d "$tree" "$image" 32M >&2

# mke2fs copies the builder's user ids and creation times; every file is root's, at the epoch.
(cd "$tree" && find . -mindepth 1 -printf '%P\n' | sort) | while read -r path; do
  for field in uid gid atime_extra ctime_extra mtime_extra crtime_extra; do
    echo "set_inode_field \"/$path\" $field 0"
  done
  for field in atime ctime mtime crtime; do
    echo "set_inode_field \"/$path\" $field @$epoch"
  done
done > "$work/fields"
debugfs -w -f "$work/fields" "$image" > "$work/debugfs.log" 2>&1 || fail "debugfs: $(tail -1 "$work/debugfs.log")"
e2fsck -fn "$image" >&2 || fail "the new image is not clean"

# COW files above the base record its time stamp, so the time is part of the content.
touch --date="@$epoch" "$image"
chmod 444 "$image"
mkdir "$work/out"
mv "$image" "$work/out/base.img"
chmod 755 "$work/out"
mv -T "$work/out" "$cache/$digest" 2>/dev/null || [[ -f "$result" ]] || fail "cannot place $result"
say "done: $(stat -c %s "$result") bytes"
echo "$result"
