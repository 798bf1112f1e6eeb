#!/bin/bash
# Debian's packages for base disks: which, and their files. Needs apt and dpkg, but no root.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: packages.sh resolve --source="URL SUITE COMPONENT"... [--without=NAME...] PACKAGE...
       packages.sh unpack LIST CACHE TREE [LEAVE_OUT...]

resolve prints a line "SHA256 URL" for each package that these packages need, recommended ones
aside, as apt finds them now in the signed indices of the sources. Those named by --without
count as if they were there.

unpack downloads what LIST, such lines, lacks in the folder CACHE, checks its digest, and puts
the files into the folder TREE, but none at or below a path of LEAVE_OUT. No script of a
package runs: users, alternatives and caches are the recipe's business.

This is what `mmdebstrap --variant=extract` does, with the list of packages in between, which
says before any download whether a base must be made again.
HELP
}

fail() { echo "base: $*" >&2; exit 1; }

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
export LC_ALL=C

for tool in apt-get dpkg-deb; do
  command -v "$tool" > /dev/null || fail "$tool is missing: bases of Debian's packages need Debian"
done

# An apt of its own: nothing of the builder's packages counts, only how it reaches the network.
write_configuration() {
  local folder="$1"
  mkdir -p "$folder"/{lists,archives}/partial
  cat <<CONFIGURATION
Dir::State "$folder";
Dir::State::lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::ForceHash "SHA256";
#clear APT::Update;
#clear DPkg;
CONFIGURATION
}

resolve() {
  local sources=() without=() packages=()
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --source=*) sources+=("${1#*=}") ;;
      --without=*) without+=("${1#*=}") ;;
      -*) usage >&2; exit 2 ;;
      *) packages+=("$1") ;;
    esac
    shift
  done
  [[ ${#sources[@]} -gt 0 && ${#packages[@]} -gt 0 ]] || { usage >&2; exit 2; }
  [[ -r "$keyring" ]] || fail "$keyring is missing: apt-get install debian-archive-keyring"

  local folder
  folder="$(mktemp -d)"
  # shellcheck disable=SC2064  # now, while it is known
  trap "rm -rf '$folder'" EXIT
  write_configuration "$folder" > "$folder/apt.conf"
  printf "deb [signed-by=$keyring] %s\n" "${sources[@]}" > "$folder/sources.list"
  local name
  for name in "${without[@]}"; do
    printf '%s\n' "Package: $name" 'Status: install ok installed' 'Architecture: amd64' \
      'Multi-Arch: foreign' 'Version: 999' 'Maintainer: none' 'Description: left out' ''
  done > "$folder/status"
  apt-get -c "$folder/apt.conf" -q -o APT::Update::Error-Mode=any update > "$folder/log" 2>&1 \
    || { tail -n 5 "$folder/log" >&2; fail "cannot read the indices of packages"; }
  apt-get -c "$folder/apt.conf" -qq -y --no-install-recommends --print-uris install \
    "${packages[@]}" > "$folder/uris" 2> "$folder/log" \
    || { tail -n 5 "$folder/log" >&2; fail "these packages cannot be had: ${packages[*]}"; }
  sed -nE "s/^'([^']+)' [^ ]+ [0-9]+ SHA256:([0-9a-f]{64})\$/\2 \1/p" "$folder/uris" | sort -k2 \
    > "$folder/list"
  [[ $(grep -c "^'" "$folder/uris") -eq $(wc -l < "$folder/list") ]] \
    || fail "a package has no SHA-256: $(grep -v 'SHA256:' "$folder/uris" | head -n 1)"
  cat "$folder/list"
}

unpack() {
  [[ $# -ge 3 ]] || { usage >&2; exit 2; }
  local list="$1" cache="$2" tree="$3" digest url path options=() done=0 count
  shift 3
  for path in "$@"; do options+=("--exclude=./$path"); done
  count="$(wc -l < "$list")"
  mkdir -p "$cache" "$tree"
  # apt's own download goes through whatever proxy the builder's apt is told of.
  while read -r digest url <&3; do
    path="$cache/$digest.deb"
    if [[ ! -f "$path" ]]; then
      /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root download-file \
        "$url" "$path.$$" "SHA256:$digest" > /dev/null \
        || fail "cannot download $url; with --update, newer packages are looked for"
      mv "$path.$$" "$path"
    fi
    echo "$digest  $path" | sha256sum --check --status || fail "damaged: $path; remove it"
    dpkg-deb --fsys-tarfile "$path" \
      | tar -x -C "$tree" --keep-directory-symlink --no-same-owner "${options[@]}"
    done=$((done + 1))
    echo "base: unpacked $done of $count: ${url##*/}" >&2
  done 3< "$list"
}

command="${1:-}"
if [[ $# -gt 0 ]]; then shift; fi
case "$command" in
  resolve | unpack) "$command" "$@" ;;
  --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
