#!/bin/bash
# Builds a base disk image, the one that many Mutua machines share.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: build.sh [--update] [RECIPE]

Makes base.img, an ext4 file system, by a recipe: the name of one of recipes/*.recipe (default
busybox), or the path of a file. Two builds give the same bytes when recipe, files and packages
are the same. Needs no root. The image's path is the only line on stdout.

Recipes are lines of "key = value"; # begins a comment line; keys marked + may be repeated, and
their values hold several words:
  name         a-z, 0-9, '-': for people
  size_mib     the file system's size
  inodes       how many files it has room for (default 2048)
  source+      "URL SUITE COMPONENT", where Debian's packages come from
  packages+    the packages; those they depend on follow
  without+     packages that count as if they were there
  leave_out+   paths of packages that do not come along
  files+       a folder beside the recipe whose files come in above all else
A recipe without packages takes the builder's busybox.

The image is kept at ${MUTUA_CACHE:-$HOME/.cache/mutua}/base/<digest>/base.img, by the digest of
all that it is made of. Which versions of packages these are is asked once for each recipe and
kept; --update asks again.

environment:
  MUTUA_CACHE     the cache's folder
  MUTUA_BUSYBOX   the busybox to put in (default /bin/busybox; must be linked statically)
HELP
}

say() { echo "base: $*" >&2; }
fail() { say "$*"; exit 1; }

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly cache="${MUTUA_CACHE:-$HOME/.cache/mutua}/base"
readonly busybox="${MUTUA_BUSYBOX:-/bin/busybox}"
readonly uuid=6d757475-6100-4000-8000-000000000001
readonly hash_seed=6d757475-6100-4000-8000-000000000002
# The time stamp of every file and of the file system: 2025-01-01.
readonly epoch=1735689600
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH="$epoch"
umask 022

update=no
recipe=busybox
case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  --update) update=yes; shift ;;
esac
case "$#:${1:-}" in
  0:) ;;
  1:-* | 1:) usage >&2; exit 2 ;;
  1:*) recipe="$1" ;;
  *) usage >&2; exit 2 ;;
esac
if [[ "$recipe" != */* && -f "$here/recipes/$recipe.recipe" ]]; then
  recipe="$here/recipes/$recipe.recipe"
fi
[[ -f "$recipe" ]] || fail "no such recipe: $recipe; there are $(cd "$here/recipes" && echo *)"
recipe="$(realpath "$recipe")"
readonly recipe update

# ---------------------------------------------------------------- the recipe

name='' size_mib='' inodes=2048
sources=() packages=() without=() leave_out=() folders=()

is_number() { [[ "$1" =~ ^[1-9][0-9]{0,5}$ ]]; }

read_setting() {
  local key="$1" value="$2" words
  read -ra words <<< "$value"
  case "$key" in
    name) [[ "$value" =~ ^[a-z0-9-]{1,48}$ ]] && name="$value" ;;
    size_mib) is_number "$value" && size_mib="$value" ;;
    inodes) is_number "$value" && inodes="$value" ;;
    source) [[ ${#words[@]} -ge 3 && "$value" != *['[]']* ]] && sources+=("$value") ;;
    packages) packages+=("${words[@]}") ;;
    without) without+=("${words[@]}") ;;
    leave_out) leave_out+=("${words[@]}") ;;
    files) [[ -d "${recipe%/*}/$value" ]] && folders+=("$(realpath "${recipe%/*}/$value")") ;;
    *) return 1 ;;
  esac
}

number=0
while IFS= read -r line || [[ -n "$line" ]]; do
  number=$((number + 1))
  if [[ "$line" =~ ^[[:space:]]*(#|$) ]]; then continue; fi
  if ! [[ "$line" =~ ^[[:space:]]*([a-z_]+)[[:space:]]*=[[:space:]]*(.*[^[:space:]])[[:space:]]*$ ]] \
    || ! read_setting "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; then
    fail "$recipe:$number: not understood: $line"
  fi
done < "$recipe"
[[ -n "$name" ]] || fail "$recipe: name is missing"
[[ -n "$size_mib" ]] || fail "$recipe: size_mib is missing"
[[ ${#packages[@]} -eq 0 || ${#sources[@]} -gt 0 ]] || fail "$recipe: packages without a source"
readonly name size_mib inodes sources packages without leave_out folders

for tool in mke2fs debugfs e2fsck; do
  command -v "$tool" > /dev/null || fail "$tool is missing: apt-get install e2fsprogs"
done
if [[ ${#packages[@]} -eq 0 && ! -x "$busybox" ]]; then
  fail "$busybox is missing: apt-get install busybox-static"
fi

# ---------------------------------------------------------------- what it is made of

mkdir -p "$cache/packages"
work="$(mktemp -d "$cache/.build.XXXXXX")"
readonly work
trap 'rm -rf "$work"' EXIT

question="$({
  printf '%s\n' "${sources[@]}" : "${packages[@]}" : "${without[@]}"
} | sha256sum | cut -c1-32)"
readonly list="$cache/packages/$question.list"
if [[ ${#packages[@]} -eq 0 ]]; then
  : > "$list"
elif [[ ! -s "$list" || "$update" == yes ]]; then
  say "$name: asking which packages there are"
  "$here/packages.sh" resolve "${sources[@]/#/--source=}" "${without[@]/#/--without=}" \
    "${packages[@]}" > "$work/list"
  mv "$work/list" "$list"
fi

sources_digest() {
  {
    sha256sum < "${BASH_SOURCE[0]}"
    sha256sum < "$here/packages.sh"
    sha256sum < "$recipe"
    cut -d' ' -f1 "$list"
    if [[ ${#packages[@]} -eq 0 ]]; then sha256sum < "$busybox"; fi
    mke2fs -V 2>&1
    local folder
    for folder in "${folders[@]}"; do
      cd "$folder"
      find . \( -type f -o -type l \) -printf '%m %p %l\n' | sort
      find . -type f -print0 | sort -z | xargs -0 -r sha256sum
    done
  } | sha256sum | cut -c1-32
}

digest="$(sources_digest)"
readonly digest
readonly result="$cache/$digest/base.img"
if [[ -f "$result" ]]; then
  say "$name: cached"
  echo "$result"
  exit 0
fi

# ---------------------------------------------------------------- the files

say "$name: collecting files"
readonly tree="$work/tree"
mkdir -p "$tree"/{dev,etc/mutua,proc,root,run,sys,tmp,usr,var/log,www}
if [[ ${#packages[@]} -gt 0 ]]; then
  # Where Debian's packages expect the merged /usr.
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$tree/$folder"; done
  ln -s /run "$tree/var/run"
  "$here/packages.sh" unpack "$list" "$cache/packages" "$tree" "${leave_out[@]}"
else
  mkdir "$tree"/{bin,sbin}
  ln -s ../bin "$tree/usr/bin"
  ln -s ../sbin "$tree/usr/sbin"
  cp "$busybox" "$tree/bin/busybox"
fi
for folder in "${folders[@]}"; do
  tar -c -C "$folder" . | tar -x -C "$tree" --keep-directory-symlink --no-same-owner
done
# What belongs to the running machine.
ln -s /run/resolv.conf "$tree/etc/resolv.conf"
for file in hosts machine-id; do ln -s "/run/mutua/$file" "$tree/etc/$file"; done
"$tree/bin/busybox" --list | while read -r applet; do
  if [[ ! -e "$tree/bin/$applet" && ! -L "$tree/bin/$applet" ]]; then
    ln -s busybox "$tree/bin/$applet"
  fi
done
if [[ ! -e "$tree/sbin/sh" ]]; then ln -s ../bin/sh "$tree/sbin/sh"; fi

# A guest that compiled its modules at every start would be slow, and would write its disk full.
# The tree's own Python does it; hashes in place of time stamps, and no check of them.
if [[ -x "$tree/usr/bin/python3" ]]; then
  say "$name: compiling Python's modules"
  readonly libraries="$tree/usr/lib/x86_64-linux-gnu"
  for folder in "$tree"/usr/lib/python3*; do
    env -i PYTHONHOME="$tree/usr" PYTHONHASHSEED=0 LC_ALL=C \
      "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$tree/usr/bin/python3" \
      -s -S -B -m compileall -q -f --invalidation-mode unchecked-hash -s "$tree" -p / "$folder" \
      >&2 || fail "cannot compile $folder"
  done
fi

chmod -R u=rwX,go=rX "$tree"
chmod 1777 "$tree/tmp"
chmod 700 "$tree/root"
find "$tree" -exec touch --no-dereference --date="@$epoch" {} +

# ---------------------------------------------------------------- the file system

say "$name: making the file system of $(du -sm "$tree" | cut -f1) MiB of files"
export E2FSPROGS_FAKE_TIME="$epoch"
readonly image="$work/base.img"
mke2fs -q -t ext4 -b 4096 -I 256 -N "$inodes" -m 0 -J size=4 -L mutua-base -U "$uuid" \
  -O '^64bit,^huge_file,^resize_inode,^orphan_file,^metadata_csum_seed' \
  -E "hash_seed=$hash_seed,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard" \
  -d "$tree" "$image" "${size_mib}M" > /dev/null || fail "$recipe: it does not fit $size_mib MiB"

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
e2fsck -fn "$image" > /dev/null 2>&1 || fail "the new image is not clean"

# COW files above the base record its time stamp, so the time is part of the content.
touch --date="@$epoch" "$image"
chmod 444 "$image"
mkdir "$work/out"
mv "$image" "$work/out/base.img"
chmod 755 "$work/out"
mv -T "$work/out" "$cache/$digest" 2>/dev/null || [[ -f "$result" ]] || fail "cannot place $result"
say "$name: done: $(stat -c %s "$result") bytes, $(du -k "$result" | cut -f1) KiB on disk"
echo "$result"
