#!/bin/bash
# Makes a service's disk: a copy of a base image with files added. Needs no root.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: add-files.sh BASE FOLDER OUTPUT

Copies the disk image BASE to OUTPUT and adds every file, folder and symbolic link of
FOLDER at the same path, in place of what stood there. Everything belongs to the guest's
root and keeps its permission bits; the service starts by an executable /etc/mutua/start.
The same inputs give the same bytes.
HELP
}

fail() { echo "add-files: $*" >&2; exit 1; }

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then usage; exit 0; fi
if [[ $# -ne 3 ]]; then usage >&2; exit 2; fi
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C TZ=UTC
readonly base="$1" folder="$2" output="$3"
readonly epoch=1735689600
command -v debugfs > /dev/null || fail "debugfs is missing: apt-get install e2fsprogs"
[[ -f "$base" ]] || fail "no such image: $base"
[[ -d "$folder" ]] || fail "no such folder: $folder"
if find "$folder" -name '*["
]*' | grep -q .; then fail "a name in $folder holds a quote or a new line"; fi
if find "$folder" -mindepth 1 ! -type f ! -type d ! -type l | grep -q .; then
  fail "$folder holds something else than files, folders and symbolic links"
fi

work="$(mktemp -d "$output.XXXXXX")"
readonly work
trap 'rm -rf "$work"' EXIT
cp --sparse=always "$base" "$work/image"
chmod 600 "$work/image"
export E2FSPROGS_FAKE_TIME="$epoch"

exists() { debugfs -R "stat \"$1\"" "$work/image" 2>&1 | grep -q '^Inode:'; }

set_fields() {
  echo "set_inode_field \"$1\" mode $2"
  for field in uid gid; do echo "set_inode_field \"$1\" $field 0"; done
  for field in atime ctime mtime crtime; do echo "set_inode_field \"$1\" $field @$epoch"; done
}

(cd "$folder" && find . -mindepth 1 -printf '%y %m %P\n' | sort -k3) \
  | while read -r kind mode path; do
    case "$kind" in
      d)
        exists "/$path" || echo "mkdir \"/$path\""
        set_fields "/$path" "$(printf '04%04o' "0$mode")"
        ;;
      f)
        if exists "/$path"; then echo "rm \"/$path\""; fi
        echo "write \"$folder/$path\" \"/$path\""
        set_fields "/$path" "$(printf '010%04o' "0$mode")"
        ;;
      l)
        if exists "/$path"; then echo "rm \"/$path\""; fi
        echo "symlink \"/$path\" \"$(readlink "$folder/$path")\""
        ;;
    esac
  done > "$work/commands"
debugfs -w -f "$work/commands" "$work/image" > "$work/log" 2>&1 || fail "$(tail -1 "$work/log")"
if grep -v -e '^debugfs' -e '^Allocated inode' "$work/log" | grep -q .; then
  fail "$(grep -v -e '^debugfs' -e '^Allocated inode' "$work/log" | head -1)"
fi
e2fsck -fn "$work/image" > /dev/null 2>&1 || fail "the new image is not clean"
mv "$work/image" "$output"
